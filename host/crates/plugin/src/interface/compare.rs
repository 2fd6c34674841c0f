//! Two interfaces of one name, function by function and type by type.

use std::collections::HashSet;

use wit_parser::{Function, InterfaceId, Resolve, Type, TypeDef, TypeDefKind, TypeId};

use super::{InterfaceDiff, Mismatch};

/// Who calls whom; decides whether a type is sent or expected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    HostCalls,
    ComponentCalls,
}

/// Both sides of a comparison.
pub(super) struct Sides<'a> {
    pub(super) theirs: &'a Resolve,
    pub(super) ours: &'a Resolve,
    /// What `ours` is called.
    pub(super) our_name: &'static str,
    pub(super) direction: Direction,
}

/// Adds every difference between two interfaces.
pub(super) fn compare_interfaces(
    sides: &Sides<'_>,
    name: &str,
    theirs: InterfaceId,
    ours: InterfaceId,
    diff: &mut InterfaceDiff,
) {
    let their_functions = &sides.theirs.interfaces[theirs].functions;
    let our_functions = &sides.ours.interfaces[ours].functions;
    let mut comparison = Comparison { sides, seen: HashSet::new(), problems: Vec::new() };
    let calls = sides.direction == Direction::ComponentCalls;
    for (function, our) in our_functions {
        match their_functions.get(function) {
            Some(their) => comparison.functions(their, our),
            // A component need not call all it is given.
            None if calls => {}
            None => comparison.problems.push(format!("missing; {} calls it", sides.our_name)),
        }
        diff.take(name, function, &mut comparison.problems);
    }
    for function in their_functions.keys().filter(|name| !our_functions.contains_key(*name)) {
        // What nobody calls does no harm, but tells of another version.
        let problem = format!("unknown; {} has no such function", sides.our_name);
        diff.take(name, function, &mut vec![problem]);
    }
}

impl InterfaceDiff {
    fn take(&mut self, interface: &str, function: &str, problems: &mut Vec<String>) {
        self.mismatches.extend(problems.drain(..).map(|problem| Mismatch {
            interface: interface.to_owned(),
            function: Some(function.to_owned()),
            problem,
        }));
    }
}

struct Comparison<'a> {
    sides: &'a Sides<'a>,
    /// Pairs that were compared: a difference is told once, where it first matters.
    seen: HashSet<(TypeId, TypeId)>,
    problems: Vec<String>,
}

impl Comparison<'_> {
    fn functions(&mut self, theirs: &Function, ours: &Function) {
        let outwards = self.sides.direction == Direction::HostCalls;
        let names = |function: &Function| -> Vec<String> {
            function.params.iter().map(|parameter| parameter.name.clone()).collect()
        };
        let (their_names, our_names) = (names(theirs), names(ours));
        if their_names != our_names {
            let (verb, other) = (self.verb(outwards), self.sides.our_name);
            self.problems.push(format!(
                "takes ({}), {other} {verb} ({})",
                their_names.join(", "),
                our_names.join(", ")
            ));
        }
        for (their, our) in theirs.params.iter().zip(&ours.params) {
            self.types(&format!("parameter `{}`", our.name), &their.ty, &our.ty, outwards);
        }
        match (&theirs.result, &ours.result) {
            (Some(their), Some(our)) => self.types("result", their, our, !outwards),
            (None, None) => {}
            (their, our) => {
                let (verb, other) = (self.verb(!outwards), self.sides.our_name);
                let their = text_of(self.sides.theirs, their.as_ref());
                let our = text_of(self.sides.ours, our.as_ref());
                self.problems.push(format!("result is {their}, {other} {verb} {our}"));
            }
        }
    }

    fn verb(&self, outwards: bool) -> &'static str {
        match (self.sides.our_name, outwards) {
            ("this host", true) => "sends",
            ("this host", false) => "expects",
            _ => "has",
        }
    }

    /// `place` says what the type is of; `outwards`: our side is the one that sends it.
    fn types(&mut self, place: &str, theirs: &Type, ours: &Type, outwards: bool) {
        let their = resolved(self.sides.theirs, theirs);
        let our = resolved(self.sides.ours, ours);
        let (Type::Id(their_id), Type::Id(our_id)) = (their, our) else {
            if their != our {
                self.differ(place, &their, &our, outwards);
            }
            return;
        };
        if !self.seen.insert((their_id, our_id)) {
            return;
        }
        let (their_def, our_def) =
            (&self.sides.theirs.types[their_id], &self.sides.ours.types[our_id]);
        match (&their_def.kind, &our_def.kind) {
            (TypeDefKind::Record(a), TypeDefKind::Record(b)) => {
                let pairs = |fields: &[wit_parser::Field]| -> Vec<(String, Option<Type>)> {
                    fields.iter().map(|field| (field.name.clone(), Some(field.ty))).collect()
                };
                let (a, b) = (pairs(&a.fields), pairs(&b.fields));
                self.members(("record", "field"), our_def, &a, &b, outwards);
            }
            (TypeDefKind::Variant(a), TypeDefKind::Variant(b)) => {
                let pairs = |cases: &[wit_parser::Case]| -> Vec<(String, Option<Type>)> {
                    cases.iter().map(|case| (case.name.clone(), case.ty)).collect()
                };
                let (a, b) = (pairs(&a.cases), pairs(&b.cases));
                self.members(("variant", "case"), our_def, &a, &b, outwards);
            }
            (TypeDefKind::Enum(a), TypeDefKind::Enum(b)) => {
                let a: Vec<_> = a.cases.iter().map(|case| (case.name.clone(), None)).collect();
                let b: Vec<_> = b.cases.iter().map(|case| (case.name.clone(), None)).collect();
                self.members(("enum", "case"), our_def, &a, &b, outwards);
            }
            (TypeDefKind::Flags(a), TypeDefKind::Flags(b)) => {
                let a: Vec<_> = a.flags.iter().map(|flag| (flag.name.clone(), None)).collect();
                let b: Vec<_> = b.flags.iter().map(|flag| (flag.name.clone(), None)).collect();
                self.members(("flags", "flag"), our_def, &a, &b, outwards);
            }
            (TypeDefKind::List(a), TypeDefKind::List(b))
            | (TypeDefKind::Option(a), TypeDefKind::Option(b)) => {
                self.inside(place, &their, &our, (Some(a), Some(b)), outwards);
            }
            (TypeDefKind::Result(a), TypeDefKind::Result(b)) => {
                self.inside(place, &their, &our, (a.ok.as_ref(), b.ok.as_ref()), outwards);
                self.inside(place, &their, &our, (a.err.as_ref(), b.err.as_ref()), outwards);
            }
            (TypeDefKind::Tuple(a), TypeDefKind::Tuple(b)) if a.types.len() == b.types.len() => {
                for (a, b) in a.types.iter().zip(&b.types) {
                    self.types(place, a, b, outwards);
                }
            }
            _ => self.differ(place, &their, &our, outwards),
        }
    }

    /// What is inside a list, an option or a result. Scalars are told with what is around them.
    fn inside(
        &mut self,
        place: &str,
        their_outer: &Type,
        our_outer: &Type,
        (theirs, ours): (Option<&Type>, Option<&Type>),
        outwards: bool,
    ) {
        let (Some(theirs), Some(ours)) = (theirs, ours) else {
            if theirs.is_some() != ours.is_some() {
                self.differ(place, their_outer, our_outer, outwards);
            }
            return;
        };
        let their = resolved(self.sides.theirs, theirs);
        let our = resolved(self.sides.ours, ours);
        match (their, our) {
            (Type::Id(_), Type::Id(_)) => self.types(place, theirs, ours, outwards),
            _ if their != our => self.differ(place, their_outer, our_outer, outwards),
            _ => {}
        }
    }

    /// Fields of a record or cases of a variant, enum or flags: by name, number and order.
    fn members(
        &mut self,
        (kind, member): (&str, &str),
        our_def: &TypeDef,
        theirs: &[(String, Option<Type>)],
        ours: &[(String, Option<Type>)],
        outwards: bool,
    ) {
        let name = our_def.name.as_deref().unwrap_or("without a name");
        let place = format!("{kind} `{name}`");
        let lacking = |from: &[(String, Option<Type>)], of: &[(String, Option<Type>)]| {
            let missing =
                of.iter().filter(|(name, _)| !from.iter().any(|(other, _)| other == name));
            missing.map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        let (missing, unknown) = (lacking(theirs, ours), lacking(ours, theirs));
        let (verb, other) = (self.verb(outwards), self.sides.our_name);
        if !missing.is_empty() || !unknown.is_empty() {
            let mut problem =
                format!("{place} has {} {member}s, {other} {verb} {}", theirs.len(), ours.len());
            if !missing.is_empty() {
                problem.push_str(&format!("; missing: {missing}"));
            }
            if !unknown.is_empty() {
                problem.push_str(&format!("; unknown: {unknown}"));
            }
            self.problems.push(problem);
        } else if theirs.iter().zip(ours).any(|((a, _), (b, _))| a != b) {
            let order = |members: &[(String, Option<Type>)]| {
                members.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            };
            let (a, b) = (order(theirs), order(ours));
            self.problems.push(format!("{place} has its {member}s as {a}, {other} {verb} {b}"));
        }
        for (name, our) in ours {
            let Some((_, their)) = theirs.iter().find(|(other, _)| other == name) else { continue };
            let place = format!("{place}, {member} `{name}`");
            match (their, our) {
                (Some(their), Some(our)) => self.types(&place, their, our, outwards),
                (None, None) => {}
                (their, our) => {
                    let their = text_of(self.sides.theirs, their.as_ref());
                    let our = text_of(self.sides.ours, our.as_ref());
                    self.problems.push(format!("{place} is {their}, {other} {verb} {our}"));
                }
            }
        }
    }

    fn differ(&mut self, place: &str, theirs: &Type, ours: &Type, outwards: bool) {
        let (verb, other) = (self.verb(outwards), self.sides.our_name);
        let theirs = text_of(self.sides.theirs, Some(theirs));
        let ours = text_of(self.sides.ours, Some(ours));
        self.problems.push(format!("{place} is {theirs}, {other} {verb} {ours}"));
    }
}

/// Through `type a = b` and `use`, to what it is.
fn resolved(resolve: &Resolve, ty: &Type) -> Type {
    let mut ty = *ty;
    while let Type::Id(id) = ty {
        match resolve.types[id].kind {
            TypeDefKind::Type(inner) => ty = inner,
            _ => break,
        }
    }
    ty
}

/// A type as `wit/` writes it; named ones by kind and name.
fn text_of(resolve: &Resolve, ty: Option<&Type>) -> String {
    let Some(ty) = ty else { return "nothing".to_owned() };
    let inner = |ty: &Type| text_of(resolve, Some(ty));
    match resolved(resolve, ty) {
        Type::Id(id) => {
            let def = &resolve.types[id];
            match &def.kind {
                TypeDefKind::List(item) => format!("list<{}>", inner(item)),
                TypeDefKind::Option(item) => format!("option<{}>", inner(item)),
                TypeDefKind::Result(result) => {
                    let part = |ty: &Option<Type>| ty.as_ref().map_or("_".to_owned(), inner);
                    format!("result<{}, {}>", part(&result.ok), part(&result.err))
                }
                TypeDefKind::Tuple(tuple) => {
                    format!(
                        "tuple<{}>",
                        tuple.types.iter().map(inner).collect::<Vec<_>>().join(", ")
                    )
                }
                kind => {
                    let name = def.name.as_deref().unwrap_or("without a name");
                    format!("{} `{name}`", kind.as_str())
                }
            }
        }
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}
