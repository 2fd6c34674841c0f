//! Every account at every block, one line each, for spreadsheets.

use std::fmt::Write as _;

use super::comparison::Step;

/// A head line, then `height,found_at_ms,account,paid,would_be`; amounts in base units. The
/// pool's own line follows each block's accounts.
pub(super) fn csv(steps: &[Step]) -> String {
    let mut text = String::from("height,found_at_ms,account,paid,would_be\n");
    let mut line = |step: &Step, name: &str, paid: i128, would: i128| {
        let (height, at) = (step.height, step.found_at_ms);
        writeln!(text, "{height},{at},{},{paid},{would}", quoted(name)).expect("memory is there");
    };
    for step in steps {
        for (name, (paid, would)) in &step.accounts {
            line(step, name, i128::from(*paid), i128::from(*would));
        }
        let (paid, would) = step.pool();
        line(step, "(pool)", paid, would);
    }
    text
}

/// RFC 4180; and a name that begins like a formula is not run as one by a spreadsheet.
fn quoted(name: &str) -> String {
    let formula = name.starts_with(['=', '+', '-', '@']);
    let name = if formula { format!("'{name}") } else { name.to_owned() };
    if name.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", name.replace('"', "\"\""));
    }
    name
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn names_stay_in_their_column() {
        let accounts = ["ann", "a,b", "say \"hi\"", "=1+1"].map(|name| (name.to_owned(), (1, 2)));
        let accounts = BTreeMap::from(accounts);
        let step = Step { height: 7, found_at_ms: 9, reward: 10, accounts, carried: (0, 0) };
        let expected = "height,found_at_ms,account,paid,would_be\n\
                        7,9,'=1+1,1,2\n\
                        7,9,\"a,b\",1,2\n\
                        7,9,ann,1,2\n\
                        7,9,\"say \"\"hi\"\"\",1,2\n\
                        7,9,(pool),6,2\n";
        assert_eq!(csv(&[step]), expected);
    }
}
