//! The map of this house.
//!
//! A playbook is a program, so it is compiled: inventory, roles, variables and facts go in, lists of
//! steps come out in which no template, condition or loop remains. A short-lived worker on each
//! host, which is this same binary, carries its list out. Everything anyone sees is an
//! event told along the way.
//!
//! # The rooms, in the order of the story
//!
//! | room | is |
//! |---|---|
//! | [`cli`] | the commands and their flags |
//! | [`inventory`] | WHO: hosts, groups, their variables; patterns that choose among them |
//! | [`playbook`] | WHAT: plays, roles, tasks, handlers as written, checked on load |
//! | [`vars`] | WITH: the one ladder of precedence; Tera, strict |
//! | [`ssh`] | ROAD: connect, trust, bring the worker, carry frames; the only room that knows russh |
//! | [`plan`] | THEN: pure; what people wrote and what hosts said become steps |
//! | [`rollout`] | WHEN: pure; which host of a serving cluster goes next, and what happens if that goes wrong |
//! | [`rules`] | HOLD: what is known to go wrong with the products, held against a plan and against hosts |
//! | [`run`] | DO: plays, batches, policy; hands steps to workers |
//! | [`report`] | TELL: listens to events: live board, lines, JSON, recap |
//! | [`worker`] | the far end: takes steps, runs modules, answers |
//! | [`modules`] | one file per kind of task |
//! | [`system`] | the modules' one door to the operating system, real or rehearsed |
//! | [`wire`] | what the two ends say to each other |
//! | [`event`] | what can happen during a run, and who may listen |
//! | [`source`] | files, positions, YAML, and mistakes that point at them |
//!
//! # Floors
//!
//! Imports point down; `tests/floors.rs` holds this table.
//!
//! ```text
//!  6   main   cli   exit                      speak with people
//!  5   run    report                          run tells, report listens; neither knows the other
//!      rules                                  judge what is decided
//!  4   plan   rollout   ssh                   decide; carry
//!  3   inventory   playbook   |   worker      what people wrote   |   what a host does with a step
//!  2   vars                   |   modules     values, templates   |   kinds of task
//!  1   source                 |   system      positions, mistakes |   the operating system
//!  0   event                  |   wire        words
//! ```
//!
//! The right-hand column never sees the left: it could ship as a binary of its own. The left-hand
//! column sees of the right only `wire`, `modules`' list (names, parameters, what a module
//! brings), and `system`'s digests.
//!
//! # Words
//!
//! *host* (never node, target or machine in code), *step* (of a host's list; never action or operation), *task* (as
//! written), *play*, *batch* (hosts that go at the same time), *role*, *handler*, *module*, *facts*, *outcome*
//! (unchanged, changed, skipped, failed), *due* (a handler that was notified and has not run), *gate* (what must
//! hold before the next host), *rule* (what is known to go wrong, with an id), *site* (all that rules look at),
//! *survey* (what a host is like), *node* (one product on one host, in the rules alone), *pack* (a product's
//! archive), *release* (a pack unpacked), *tier* (the hosts of one play that is rolled out), *rotation* (where a
//! balancer sends requests), *drain* (taken out of it on all balancers), *canary* (goes first, alone), *soak* (must
//! stay healthy so long), *evidence* (what requests of our own meet meanwhile), *look* (at all hosts and balancers at one time), *action* (what a rollout asks its driver
//! to do), *standing* (what became of a host), *verdict* (of a whole rollout).

pub mod cli;
pub mod event;
pub mod exit;
pub mod inventory;
pub mod modules;
pub mod plan;
pub mod playbook;
pub mod report;
pub mod rollout;
pub mod rules;
pub mod run;
pub mod source;
pub mod ssh;
pub mod system;
pub mod vars;
pub mod wire;
pub mod worker;
