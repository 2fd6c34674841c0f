//! One macro per world: everything between a Rust type and an exported component.

use std::sync::Once;

/// Sends the text of a panic to the host's log before it becomes a bare trap.
#[doc(hidden)]
pub fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| crate::error(&panic.to_string())));
    });
}

/// Exports a [`PayoutScheme`](crate::PayoutScheme) as a component.
#[macro_export]
macro_rules! export_payout_scheme {
    ($component:ty) => {
        $crate::__export!($component, payout, __payout_scheme_guest);
    };
}

/// Exports an [`AuthPolicy`](crate::AuthPolicy) as a component.
#[macro_export]
macro_rules! export_auth_policy {
    ($component:ty) => {
        $crate::__export!($component, auth, __auth_policy_guest);
    };
}

/// Exports a [`DifficultyStrategy`](crate::DifficultyStrategy) as a component.
#[macro_export]
macro_rules! export_difficulty_strategy {
    ($component:ty) => {
        $crate::__export!($component, difficulty, __difficulty_strategy_guest);
    };
}

// Only for WebAssembly: natively two components in one program would clash, and nobody calls.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($component:ty, $world:ident, $guest:ident) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::component::exports::chimera::pool::plugin;

            type Config = <$component as $crate::Component>::Config;

            std::thread_local! {
                static CONFIG: std::cell::OnceCell<Config> = const { std::cell::OnceCell::new() };
            }

            struct Exported;

            fn configured<T>(
                call: impl FnOnce(&Config) -> Result<T, $crate::PluginError>,
            ) -> Result<T, $crate::PluginError> {
                CONFIG.with(|config| match config.get() {
                    Some(config) => call(config),
                    None => Err($crate::PluginError::Internal("not configured".to_owned())),
                })
            }

            impl plugin::Guest for Exported {
                fn describe() -> plugin::Info {
                    $crate::report_panics();
                    plugin::Info {
                        name: <$component as $crate::Component>::NAME.to_owned(),
                        version: <$component as $crate::Component>::VERSION.to_owned(),
                        description: <$component as $crate::Component>::DESCRIPTION.to_owned(),
                        config_schema: <$component as $crate::Component>::CONFIG_SCHEMA.to_owned(),
                        state_version: <$component as $crate::Component>::STATE_VERSION,
                        state_accepts_since: <$component as $crate::Component>::STATE_ACCEPTS_SINCE,
                    }
                }

                fn validate(config: String) -> Result<String, Vec<$crate::Diagnostic>> {
                    $crate::report_panics();
                    $crate::check_config::<$component>(&config).map(|checked| checked.canonical)
                }

                fn configure(config: String) -> Result<(), $crate::PluginError> {
                    $crate::report_panics();
                    let checked = $crate::check_config::<$component>(&config).map_err(|_| {
                        $crate::PluginError::InvalidInput(
                            "configure wants what validate answered".to_owned(),
                        )
                    })?;
                    CONFIG.with(|cell| cell.set(checked.config)).map_err(|_| {
                        $crate::PluginError::InvalidInput("already configured".to_owned())
                    })
                }

                fn migrate(since: u32, state: Vec<u8>) -> Result<Vec<u8>, $crate::PluginError> {
                    $crate::report_panics();
                    <$component as $crate::Component>::migrate(since, state)
                }
            }

            $crate::$guest!($component, Exported);

            $crate::bindings::component::export!(
                Exported with_types_in $crate::bindings::component
            );
            $crate::bindings::$world::export!(
                Exported with_types_in $crate::bindings::$world
            );
        };
    };
}
