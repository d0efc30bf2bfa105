pub struct Scope;
