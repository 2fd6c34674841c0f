//! What is inside a component's bytes: memories, floats, names, tools.

use std::collections::BTreeMap;

use serde::Serialize;
use wasmparser::{KnownCustom, MemoryType, Name, Operator, Parser, Payload, ValType};

/// A wasm page.
const PAGE_BYTES: u64 = 1 << 16;

/// What is in a component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Anatomy {
    /// Core modules in it.
    pub modules: usize,
    /// Linear memory at its start, in bytes.
    pub memory_bytes_min: u64,
    /// The most it says it will take; `None` if it does not say, so that the class's limit is.
    pub memory_bytes_max: Option<u64>,
    /// Functions have names, so that a trap says where it was.
    pub names: bool,
    /// Floating point instructions.
    pub floats: Floats,
    /// What it was made with: field, and names with versions.
    pub producers: BTreeMap<String, Vec<String>>,
}

/// Floating point instructions of a component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Floats {
    /// How many there are.
    pub instructions: u64,
    /// In which functions, with how many each: by name, or by number without one.
    pub functions: BTreeMap<String, u64>,
}

impl Anatomy {
    /// Takes a component apart.
    ///
    /// # Errors
    /// When the bytes are no component.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, String> {
        let mut anatomy = Self::default();
        let mut unbounded = false;
        let mut most = 0;
        let mut modules: Vec<Module> = Vec::new();
        // Sections of a module inside another thing belong to the innermost one open.
        let mut open: Vec<Option<Module>> = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(|error| error.to_string())? {
                Payload::Version { encoding, .. } => {
                    let is_module = encoding == wasmparser::Encoding::Module;
                    anatomy.modules += usize::from(is_module);
                    open.push(is_module.then(Module::default));
                }
                Payload::ImportSection(section) => {
                    let Some(Some(module)) = open.last_mut() else { continue };
                    for import in section.into_imports() {
                        let import = import.map_err(|error| error.to_string())?;
                        if matches!(import.ty, wasmparser::TypeRef::Func(_)) {
                            module.functions += 1;
                        }
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        let MemoryType { initial, maximum, .. } =
                            memory.map_err(|error| error.to_string())?;
                        anatomy.memory_bytes_min += initial * PAGE_BYTES;
                        match maximum {
                            Some(pages) => most += pages * PAGE_BYTES,
                            None => unbounded = true,
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    let Some(Some(module)) = open.last_mut() else { continue };
                    let found = floats(&body).map_err(|error| error.to_string())?;
                    if found > 0 {
                        module.floats.push((module.functions, found));
                    }
                    module.functions += 1;
                }
                Payload::CustomSection(section) => match section.as_known() {
                    KnownCustom::Name(names) => {
                        if let Some(Some(module)) = open.last_mut() {
                            module.read_names(names);
                        }
                    }
                    KnownCustom::Producers(fields) => anatomy.read_producers(fields),
                    _ => {}
                },
                Payload::End(_) => modules.extend(open.pop().flatten()),
                _ => {}
            }
        }
        for module in modules {
            anatomy.names |= !module.names.is_empty();
            for (index, found) in module.floats {
                anatomy.floats.instructions += found;
                let name = module.names.get(&index).cloned();
                let name = name.unwrap_or_else(|| format!("function {index}"));
                *anatomy.floats.functions.entry(name).or_default() += found;
            }
        }
        anatomy.memory_bytes_max = (!unbounded).then_some(most);
        Ok(anatomy)
    }

    fn read_producers(&mut self, fields: wasmparser::ProducersSectionReader<'_>) {
        for field in fields.into_iter().flatten() {
            let values = field.values.into_iter().flatten();
            let texts = self.producers.entry(field.name.to_owned()).or_default();
            texts.extend(values.map(|value| format!("{} {}", value.name, value.version)));
            texts.sort();
            texts.dedup();
        }
    }
}

#[derive(Default)]
struct Module {
    /// Functions seen so far, imported ones first.
    functions: u32,
    names: BTreeMap<u32, String>,
    floats: Vec<(u32, u64)>,
}

impl Module {
    fn read_names(&mut self, sections: wasmparser::NameSectionReader<'_>) {
        for section in sections.into_iter().flatten() {
            let Name::Function(map) = section else { continue };
            for naming in map.into_iter().flatten() {
                self.names.insert(naming.index, demangled(naming.name));
            }
        }
    }
}

fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// Instructions that compute, load or store floats, and locals that hold them.
fn floats(body: &wasmparser::FunctionBody<'_>) -> wasmparser::Result<u64> {
    let mut found = 0;
    for local in body.get_locals_reader()? {
        let (count, ty) = local?;
        if matches!(ty, ValType::F32 | ValType::F64) {
            found += u64::from(count);
        }
    }
    for operator in body.get_operators_reader()? {
        found += u64::from(is_float(&operator?));
    }
    Ok(found)
}

/// By the instruction's name: all of them, and none else, have their type in it.
fn is_float(operator: &Operator<'_>) -> bool {
    let name = format!("{operator:?}");
    let name = name.split([' ', '{', '(']).next().unwrap_or_default();
    name.contains("F32") || name.contains("F64")
}
