use super::*;

fn accepted(id: u64) -> Line<'static> {
    Line::Reply { id: Id::Number(id), verdict: Verdict::Accepted }
}

fn rejected(id: u64, code: Option<i64>, reason: &'static str) -> Line<'static> {
    let verdict = Verdict::Rejected { code, reason: reason.as_bytes() };
    Line::Reply { id: Id::Number(id), verdict }
}

#[test]
fn replies_are_read_in_every_pools_spelling() {
    for (line, expected) in [
        (r#"{"id":7,"result":true,"error":null}"#, accepted(7)),
        (r#"{ "result" : true , "error" : null , "id" : 7 }"#, accepted(7)),
        (r#"{"id":"7","jsonrpc":"2.0","result":true}"#, accepted(7)),
        ("{\"id\":7,\"result\":true,\"error\":null}\r", accepted(7)),
        // ckpool
        (
            r#"{"reject-reason":"Above target","result":false,"error":null,"id":7}"#,
            rejected(7, None, "Above target"),
        ),
        (r#"{"result":false,"error":null,"id":7}"#, rejected(7, None, "")),
        // hydrapool and others of p2poolv2
        (
            r#"{"id":7,"result":null,"error":{"code":21,"message":"Job not found","data":null}}"#,
            rejected(7, Some(21), "Job not found"),
        ),
        (r#"{"id":7,"error":{"code":-3,"message":"x"}}"#, rejected(7, Some(-3), "x")),
        // the original description
        (
            r#"{"id":7,"result":null,"error":[23,"low \"difficulty\" share",null]}"#,
            rejected(7, Some(23), r#"low \"difficulty\" share"#),
        ),
        (r#"{"id":7,"result":true,"error":[20,"but",null]}"#, rejected(7, Some(20), "but")),
        (r#"{"id":7,"result":null,"error":"stale"}"#, rejected(7, None, "stale")),
    ] {
        assert_eq!(read(line.as_bytes()), expected, "{line}");
    }
    let null_id = Line::Reply { id: Id::None, verdict: Verdict::Accepted };
    assert_eq!(read(br#"{"id":null,"result":true,"error":null}"#), null_id);
}

#[test]
fn calls_are_known_by_their_method_wherever_it_stands() {
    let line = br#"{"params":[{"method":"no"},[1,"]"]],"id":null,"method":"mining.notify"}"#;
    assert_eq!(read(line), Line::Call(b"mining.notify"));
}

#[test]
fn what_is_no_message_is_said_to_be_none() {
    let cut = r#"{"id":7,"result":true"#;
    for line in
        ["", "{}", "[]", "HTTP/1.1 400 Bad Request", "{\"id\":7}", "{\"a\":\"", cut, "{\"a\":\"\\"]
    {
        assert_eq!(read(line.as_bytes()), Line::Other, "{line}");
    }
}

#[test]
fn a_job_is_read_without_its_coinbase() {
    let line = br#"{"id":null,"method":"mining.notify","params":["1a","00ff","c1","c2",["aa","bb"],"20000000","1d00ffff","65000000",true]}"#;
    let expected = Notify { job_id: b"1a", prevhash: b"00ff", ntime: b"65000000", clean: true };
    assert_eq!(notify(line), Some(expected));
    assert_eq!(notify(br#"{"method":"mining.notify","params":["1a"]}"#), None);
}

#[test]
fn a_learned_shape_knows_its_like_and_nothing_else() {
    let mut shape = Shape::default();
    let line = b"{\"id\":1000000007,\"result\":true,\"error\":null}\n";
    assert_eq!(shape.accepted(line, 10), None);
    shape.learn(line, 1_000_000_007);
    let two = b"{\"id\":1000000008,\"result\":true,\"error\":null}\n{\"id\":1";
    assert_eq!(shape.accepted(two, 10), Some((1_000_000_008, line.len())));
    for other in [
        &b"{\"id\":1000000008,\"result\":true,\"error\":null}"[..],
        b"{\"id\":1000000008,\"result\":fals,\"error\":null}\n",
        b"{\"id\":100000000x,\"result\":true,\"error\":null}\n",
        b"{\"ix\":1000000008,\"result\":true,\"error\":null}\n",
    ] {
        assert_eq!(shape.accepted(other, 10), None);
    }
}
