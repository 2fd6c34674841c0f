//! Generated from `wit/`, put together as in the SDK: the half all worlds have, and one half
//! per world, so that describing and configuring a component is written once.
#![allow(missing_docs, unreachable_pub, unused_qualifications, reason = "generated code")]

pub(crate) mod component {
    wasmtime::component::bindgen!({
        path: "../../../wit/0.1",
        inline: "
            package chimera:halves;
            world component {
                import chimera:pool/log@0.1.0;
                export chimera:pool/plugin@0.1.0;
            }
        ",
        world: "chimera:halves/component",
    });
}

/// The imports an auth policy may be granted.
pub(crate) mod granted {
    wasmtime::component::bindgen!({
        path: "../../../wit/0.1",
        inline: "
            package chimera:halves;
            world granted {
                import chimera:pool/kv@0.1.0;
                import chimera:pool/fetch@0.1.0;
                import chimera:pool/secrets@0.1.0;
            }
        ",
        world: "chimera:halves/granted",
    });
}

pub(crate) mod payout {
    wasmtime::component::bindgen!({
        path: "../../../wit/0.1",
        inline: "
            package chimera:halves;
            world payout { export chimera:pool/payout@0.1.0; }
        ",
        world: "chimera:halves/payout",
        with: { "chimera:pool/types": crate::bindings::component::chimera::pool::types },
    });
}

pub(crate) mod auth {
    wasmtime::component::bindgen!({
        path: "../../../wit/0.1",
        inline: "
            package chimera:halves;
            world auth { export chimera:pool/auth@0.1.0; }
        ",
        world: "chimera:halves/auth",
        with: { "chimera:pool/types": crate::bindings::component::chimera::pool::types },
    });
}

pub(crate) mod difficulty {
    wasmtime::component::bindgen!({
        path: "../../../wit/0.1",
        inline: "
            package chimera:halves;
            world difficulty { export chimera:pool/difficulty@0.1.0; }
        ",
        world: "chimera:halves/difficulty",
        with: { "chimera:pool/types": crate::bindings::component::chimera::pool::types },
    });
}
