//! The world `payout-scheme`: who gets what part of a reward.

pub use crate::bindings::payout::exports::chimera::pool::payout::{
    Accounts, Allocation, BlockEvent, Event, IntervalEvent, Outcome, Plan, Request, SchemeKind,
    Slices, WindowSize,
};

use crate::{Component, PluginError};

/// The work one block was expected to take, in the unit of account (`wit/0.1/types.wit`).
pub const BLOCK_WORK: u64 = 1 << 52;

/// A pure fold: (configuration, request with state) to (allocation, next state).
pub trait PayoutScheme: Component {
    /// Which shares a settlement looks at, and in what form.
    ///
    /// # Errors
    /// When the configuration asks for something this scheme cannot do.
    fn plan(config: &Self::Config) -> Result<Plan, PluginError>;

    /// Who gets what.
    ///
    /// # Errors
    /// A verdict about the request: it cannot be settled as it stands.
    fn settle(config: &Self::Config, request: Request) -> Result<Outcome, PluginError>;
}

impl Request {
    /// The block of a request, after checking that columns match and work sums below 2^63.
    ///
    /// # Errors
    /// When the request is malformed, or is for an interval.
    pub fn block(&self) -> Result<BlockEvent, PluginError> {
        self.accounts.check()?;
        match self.event {
            Event::Block(block) => Ok(block),
            Event::Interval(_) => Err(PluginError::Unsupported(
                "this scheme distributes blocks; it does not accrue intervals".to_owned(),
            )),
        }
    }

    /// The interval of a request, after checking that columns match and work sums below 2^63.
    ///
    /// # Errors
    /// When the request is malformed, or is for a block.
    pub fn interval(&self) -> Result<IntervalEvent, PluginError> {
        self.accounts.check()?;
        match self.event {
            Event::Interval(interval) => Ok(interval),
            Event::Block(_) => Err(PluginError::Unsupported(
                "this scheme accrues intervals; it does not distribute blocks".to_owned(),
            )),
        }
    }
}

impl Request {
    /// What there is to divide: `reward`, or the part of it the scheme divides, and what the
    /// previous settlement left.
    ///
    /// # Errors
    /// When that is more than an amount can be.
    pub fn pot(&self, reward: u64) -> Result<u64, PluginError> {
        reward.checked_add(self.carry).ok_or_else(|| {
            let carry = self.carry;
            PluginError::InvalidInput(format!("a reward of {reward} and a carry of {carry}"))
        })
    }
}

impl IntervalEvent {
    /// The part of the expected reward that is no fees: newly issued coins.
    ///
    /// # Errors
    /// When the fees are more than the reward they are part of.
    pub fn expected_subsidy(&self) -> Result<u64, PluginError> {
        let (reward, fees) = (self.expected_reward, self.expected_fees);
        reward.checked_sub(fees).ok_or_else(|| {
            PluginError::InvalidInput(format!("fees of {fees} in a reward of {reward}"))
        })
    }
}

impl Accounts {
    /// The work of all rows together.
    pub fn total_work(&self) -> u64 {
        self.work.iter().sum()
    }

    fn check(&self) -> Result<(), PluginError> {
        let rows = self.key.len();
        if self.work.len() != rows || self.fee_ppm.len() != rows {
            return Err(PluginError::InvalidInput(format!(
                "columns of {rows} keys, {} works and {} fees",
                self.work.len(),
                self.fee_ppm.len()
            )));
        }
        if !self.key.is_sorted_by(|one, next| one < next) {
            return Err(PluginError::InvalidInput("keys must strictly increase".to_owned()));
        }
        if let Some(fee) = self.fee_ppm.iter().find(|fee| fee.unsigned_abs() > crate::PPM) {
            return Err(PluginError::InvalidInput(format!(
                "a fee of {fee} ppm is above the whole"
            )));
        }
        let work: u128 = self.work.iter().map(|work| u128::from(*work)).sum();
        if work >= 1 << 63 {
            return Err(PluginError::InvalidInput(format!("work sums to {work}, above 2^63")));
        }
        Ok(())
    }
}

#[doc(hidden)]
#[macro_export]
macro_rules! __payout_scheme_guest {
    ($component:ty, $exported:ident) => {
        impl $crate::bindings::payout::exports::chimera::pool::payout::Guest for $exported {
            fn make_plan() -> Result<$crate::Plan, $crate::PluginError> {
                configured(|config| <$component as $crate::PayoutScheme>::plan(config))
            }
            fn settle(request: $crate::Request) -> Result<$crate::Outcome, $crate::PluginError> {
                configured(|config| <$component as $crate::PayoutScheme>::settle(config, request))
            }
        }
    };
}
