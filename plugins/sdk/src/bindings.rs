//! Generated from `wit/`. The worlds of `wit/` share the interface `plugin`; a crate can
//! export an interface's macro once, so each world is put together from two halves here:
//! `component`, and the interface of its own. wit-component unites them again.
//!
//! Component authors use the crate's root; the export macros use this.
#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    reason = "generated code"
)]

/// What all worlds have: the imports, the shared types, and the export `plugin`.
pub mod component {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        inline: "
            package chimera:halves;
            world component {
                import chimera:pool/log@0.1.0;
                export chimera:pool/plugin@0.1.0;
            }
        ",
        world: "chimera:halves/component",
        pub_export_macro: true,
        default_bindings_module: "chimera_plugin_sdk::bindings::component",
        export_macro_name: "export",
        generate_all,
    });
}

/// The own half of the world `payout-scheme`.
pub mod payout {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        inline: "
            package chimera:halves;
            world payout { export chimera:pool/payout@0.1.0; }
        ",
        world: "chimera:halves/payout",
        pub_export_macro: true,
        default_bindings_module: "chimera_plugin_sdk::bindings::payout",
        export_macro_name: "export",
        generate_all,
        with: { "chimera:pool/types@0.1.0": crate::bindings::component::chimera::pool::types },
    });
}

/// The own half of the world `auth-policy`. A component keeps only the imports it calls.
pub mod auth {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        inline: "
            package chimera:halves;
            world auth {
                import chimera:pool/kv@0.1.0;
                import chimera:pool/fetch@0.1.0;
                import chimera:pool/secrets@0.1.0;
                export chimera:pool/auth@0.1.0;
            }
        ",
        world: "chimera:halves/auth",
        pub_export_macro: true,
        default_bindings_module: "chimera_plugin_sdk::bindings::auth",
        export_macro_name: "export",
        generate_all,
        with: { "chimera:pool/types@0.1.0": crate::bindings::component::chimera::pool::types },
    });
}

/// The own half of the world `difficulty-strategy`.
pub mod difficulty {
    wit_bindgen::generate!({
        path: "../../wit/0.1",
        inline: "
            package chimera:halves;
            world difficulty { export chimera:pool/difficulty@0.1.0; }
        ",
        world: "chimera:halves/difficulty",
        pub_export_macro: true,
        default_bindings_module: "chimera_plugin_sdk::bindings::difficulty",
        export_macro_name: "export",
        generate_all,
        with: { "chimera:pool/types@0.1.0": crate::bindings::component::chimera::pool::types },
    });
}
