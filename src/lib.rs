//! apim-deploy: deploys and operates WSO2 API Manager clusters over SSH.
pub mod event;
pub mod modules;
pub mod source;
pub mod ssh;
pub mod system;
pub mod vars;
pub mod wire;
pub mod worker;
