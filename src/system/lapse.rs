//! What is undone when this process ends before somebody says that it is to stay: a lease that dies with its owner.

use super::{Result, System};
use crate::wire::Failure;
use std::collections::BTreeMap;

/// What undoes it.
pub type Undo = Box<dyn FnOnce(&System) -> Result<()>>;

pub(super) type Leases = BTreeMap<String, Undo>;

impl System {
    /// Until [`System::keep`], `what` is undone at the end.
    pub fn lease(&self, what: String, undo: Undo) {
        self.leases.borrow_mut().insert(what, undo);
    }

    pub fn is_leased(&self, what: &str) -> bool {
        self.leases.borrow().contains_key(what)
    }

    pub fn has_leases(&self) -> bool {
        !self.leases.borrow().is_empty()
    }

    /// It stays, or somebody undid it.
    pub fn keep(&self, what: &str) {
        self.leases.borrow_mut().remove(what);
    }

    /// Undoes all that nobody kept, and answers what could not be.
    pub fn lapse(&self) -> Vec<(String, Failure)> {
        let leases = self.leases.take().into_iter();
        let failed = leases.filter_map(|(what, undo)| Some((what, undo(self).err()?)));
        failed.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    #[test]
    fn what_nobody_keeps_is_undone_once() {
        let dir = tempfile::tempdir().unwrap();
        let system = System::under(dir.path(), vec![]);
        let undone = Rc::new(RefCell::new(vec![]));
        for what in ["a", "b", "c"] {
            let told = Rc::clone(&undone);
            let undo = move |_: &System| {
                told.borrow_mut().push(what);
                match what {
                    "c" => Err(Failure::new("it is gone")),
                    _ => Ok(()),
                }
            };
            system.lease(what.to_owned(), Box::new(undo));
        }
        system.keep("a");
        assert!(system.is_leased("b") && !system.is_leased("a"));
        let failed = system.lapse();
        assert_eq!(*undone.borrow(), ["b", "c"]);
        assert_eq!(failed, [("c".to_owned(), Failure::new("it is gone"))]);
        assert!(system.lapse().is_empty());
    }
}
