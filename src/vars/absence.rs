//! Says which value is missing, where Tera only says that something is: the texts are looked through with the
//! values at hand.

use super::engine::{self, Form};
use super::fault::Fault;
use super::piece::{Piece, pieces};
use super::reading::{Each, Part, Path, loops, paths};
use super::scope::{Miss, slip_of};
use super::{Scope, Variable};
use crate::source::nearest;
use tera::value::Key;
use tera::{Context, Value};

const HOSTS: &str = "hostvars";

/// The names that a loop binds, and their values.
type Bound = Vec<(String, Value)>;

/// A path that leads nowhere.
struct Gap {
    /// The path up to the value that lacks the key.
    owner: String,
    holder: Value,
    key: String,
    /// The variable whose value the key is.
    from: Option<String>,
    /// How many parts lead to the holder.
    depth: usize,
}

impl Scope<'_> {
    /// The same complaint, more exactly where it can be said.
    pub(super) fn told_apart(&self, fault: Fault, piece: &Piece<'_>) -> Fault {
        let Some(at) = fault.range.as_ref().map(|range| range.start) else {
            return fault;
        };
        if !fault.is_absence || fault.undefined.is_some() {
            return fault;
        }
        let all = paths(piece.part, piece.form);
        let here = all.iter().filter(|path| path.whole().contains(&at));
        for path in here {
            let name = &piece.part[path.name.clone()];
            let Some(gap) = self.gap_in(piece, path) else {
                continue;
            };
            // Tera names the last field well enough.
            let is_last = gap.depth + 1 == path.parts.len();
            if fault.is_vague || name == HOSTS || !is_last {
                return self.told_gap(fault, name, gap);
            }
        }
        fault
    }

    fn told_gap(&self, fault: Fault, name: &str, gap: Gap) -> Fault {
        let left_out = self.left_out_of(name, &gap);
        let key = gap.from.clone();
        let (message, help) = match left_out {
            Some(told) => told,
            None => self.words_for(name, &gap),
        };
        Fault {
            message,
            help: help.or(fault.help.clone()),
            is_vague: false,
            key,
            ..fault
        }
    }

    fn words_for(&self, name: &str, gap: &Gap) -> (String, Option<String>) {
        let Gap {
            owner, holder, key, ..
        } = gap;
        let keys: Vec<String> = holder
            .as_map()
            .map(|map| map.keys().map(ToString::to_string).collect())
            .unwrap_or_default();
        let keys = || keys.iter().map(String::as_str);
        let meant = |near: &str| format!("did you mean `{near}`?");
        let near = nearest(key, keys()).map(meant);
        match (name, gap.depth) {
            (HOSTS, 0) => (format!("there is no host `{key}`"), near),
            (HOSTS, 1) => {
                let host = owner_host(holder).unwrap_or_else(|| owner.clone());
                let near = slip_of(key, keys()).map(meant);
                let help = near.or_else(|| self.documented(key));
                (format!("`{key}` of host `{host}` is not defined"), help)
            }
            _ if holder.is_none() => (format!("`{owner}` has no value"), None),
            _ => (format!("`{owner}` has no `{key}`"), near),
        }
    }

    /// Where the path breaks off, with the names of the loops around it bound to what they go over.
    fn gap_in(&self, piece: &Piece<'_>, path: &Path) -> Option<Gap> {
        if let Some(gap) = self.gap(piece.part, path, &vec![]) {
            return Some(gap);
        }
        let inside = |each: &Each| {
            let element = each.element.as_ref();
            element.is_some_and(|e| e.contains(&path.name.start))
        };
        let around = loops(piece.part, piece.form).into_iter().filter(inside);
        around.into_iter().find_map(|each| {
            let rounds = self.rounds(piece.part, &each);
            rounds
                .iter()
                .find_map(|bound| self.gap(piece.part, path, bound))
        })
    }

    /// A variable that was made by a loop lacks a key, because what the loop reads of a host is not there.
    fn left_out_of(&self, name: &str, gap: &Gap) -> Option<(String, Option<String>)> {
        let Some(Variable::Written(node)) = self.ladder.get(name) else {
            return None;
        };
        for piece in pieces(node) {
            for each in loops(piece.part, piece.form) {
                let Some(element) = &each.element else {
                    continue;
                };
                for bound in self.rounds(piece.part, &each) {
                    let made = self.evaluated(&piece.part[element.clone()], &bound);
                    if !made.is_some_and(|made| is_of(&made, &gap.key) && has_holes(&made)) {
                        continue;
                    }
                    let told = paths(piece.part, piece.form)
                        .into_iter()
                        .filter(|path| element.contains(&path.name.start))
                        .filter(|path| &piece.part[path.name.clone()] == HOSTS)
                        .find_map(|path| self.gap(piece.part, &path, &bound));
                    if let Some(gap) = told {
                        return Some(self.words_for(HOSTS, &gap));
                    }
                }
            }
        }
        None
    }

    fn rounds(&self, text: &str, each: &Each) -> Vec<Bound> {
        let [variable] = each.variables.as_slice() else {
            return vec![];
        };
        let over = self.evaluated(&text[each.over.clone()], &vec![]);
        let values = over.as_ref().and_then(|over| over.as_array());
        let bound = |value: &Value| vec![(variable.clone(), value.clone())];
        values.unwrap_or_default().iter().map(bound).collect()
    }

    fn gap(&self, text: &str, path: &Path, bound: &Bound) -> Option<Gap> {
        for (depth, part) in path.parts.iter().enumerate() {
            let owner = &text[path.up_to(depth)];
            let holder = self.evaluated(owner, bound)?;
            if self
                .evaluated(&text[path.up_to(depth + 1)], bound)
                .is_some()
            {
                continue;
            }
            let (key, from) = match part {
                Part::Field(range) => (text[range.clone()].to_owned(), None),
                Part::Index(range) => {
                    let index = &text[range.clone()];
                    let key = match self.leads_to_a_secret(index) {
                        true => index.to_owned(),
                        false => self.evaluated(index, bound)?.to_string(),
                    };
                    (key, is_name(index).then(|| index.trim().to_owned()))
                }
            };
            return Some(Gap {
                owner: owner.to_owned(),
                holder,
                key,
                from,
                depth,
            });
        }
        None
    }

    /// `None` when it gives nothing, or not yet.
    fn evaluated(&self, expression: &str, bound: &Bound) -> Option<Value> {
        let compiled = engine::compile(expression, Form::Expression).ok()?;
        let mut context = Context::new();
        for name in &compiled.names {
            let given = bound.iter().find(|(known, _)| known == name);
            match given {
                Some((_, value)) => context.insert_value(name.clone(), value.clone()),
                None => match self.variable(name) {
                    Some(Ok(value)) => context.insert_value(name.clone(), value),
                    Some(Err(Miss::Absent(_))) | None => {}
                    Some(Err(_)) => return None,
                },
            }
        }
        compiled.value(&context).ok()
    }
}

fn is_name(text: &str) -> bool {
    text.trim().chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Each host's variables hold its name.
fn owner_host(vars: &Value) -> Option<String> {
    let name = vars.as_map()?.get(&Key::Str("inventory_hostname"))?;
    name.as_str().map(str::to_owned)
}

/// Whether what a loop makes becomes the entry of this key, as `items2dict` has it.
fn is_of(made: &Value, key: &str) -> bool {
    let own = made.as_map().and_then(|map| map.get(&Key::Str("key")));
    own.is_none_or(|own| own.to_string() == key)
}

fn has_holes(value: &Value) -> bool {
    value.is_undefined()
        || value
            .as_map()
            .is_some_and(|map| map.values().any(has_holes))
        || value
            .as_array()
            .is_some_and(|list| list.iter().any(has_holes))
}
