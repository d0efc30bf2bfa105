//! apim-deploy: deploys and operates WSO2 API Manager clusters over SSH.
pub mod event;
pub mod inventory;
pub mod modules;
pub mod playbook;
pub mod source;
pub mod system;
pub mod vars;
pub mod wire;
