//! A composite application of Micro Integrator: what its archive says of itself. Both ends read them: the controller those
//! that it would send, a host those that it has.

use serde::{Deserialize, Serialize};
use std::io::{Read, Seek};
use zip::ZipArchive;

/// Source: wso2/product-integrator-mi v4.4.0, ApplicationConfiguration and AppDeployerConstants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capp {
    pub name: String,
    pub version: String,
    /// The artifacts that it brings, sorted.
    pub artifacts: Vec<String>,
}

/// The list of an archive is some KiB; more is not what anybody meant.
const LARGEST: u64 = 4 << 20;

impl Capp {
    /// The error is a sentence.
    pub fn read(archive: impl Read + Seek) -> Result<Self, String> {
        let mut archive = ZipArchive::new(archive).map_err(|e| format!("it is no archive: {e}"))?;
        let entry = archive
            .by_name("artifacts.xml")
            .map_err(|_| "it has no artifacts.xml".to_owned())?;
        let mut text = String::new();
        entry
            .take(LARGEST)
            .read_to_string(&mut text)
            .map_err(|e| format!("its artifacts.xml cannot be read: {e}"))?;
        Self::of(&text)
    }

    fn of(text: &str) -> Result<Self, String> {
        let document = roxmltree::Document::parse(text)
            .map_err(|e| format!("its artifacts.xml is no XML: {e}"))?;
        let is_application = |node: &roxmltree::Node<'_, '_>| {
            node.attribute("type") == Some("carbon/application") && node.has_tag_name("artifact")
        };
        let application = document
            .descendants()
            .find(is_application)
            .ok_or("its artifacts.xml names no carbon/application")?;
        let text = |key: &str| application.attribute(key).unwrap_or_default().to_owned();
        let mut artifacts: Vec<String> = application
            .children()
            .filter(|node| node.has_tag_name("dependency"))
            .filter_map(|node| node.attribute("artifact").map(ToOwned::to_owned))
            .collect();
        artifacts.sort();
        Ok(Self {
            name: text("name"),
            version: text("version"),
            artifacts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write as _};
    use zip::write::{SimpleFileOptions, ZipWriter};

    const LIST: &str = r#"<?xml version="1.0" encoding="UTF-8"?><artifacts>
        <artifact name="Orders" version="1.0.1" type="carbon/application">
        <dependency artifact="OrdersAPI" version="1.0.0" include="true" serverRole="EnterpriseServiceBus"/>
        <dependency artifact="Audit" version="1.0.0" include="true"/>
        </artifact></artifacts>"#;

    fn archive(name: &str, text: &str) -> Cursor<Vec<u8>> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
        zip.finish().unwrap()
    }

    #[test]
    fn an_archive_says_what_it_is() {
        let capp = Capp::read(archive("artifacts.xml", LIST)).unwrap();
        assert_eq!((&*capp.name, &*capp.version), ("Orders", "1.0.1"));
        assert_eq!(capp.artifacts, ["Audit", "OrdersAPI"]);
    }

    #[test]
    fn what_is_none_says_why() {
        for (name, text, why) in [
            ("other.xml", "", "it has no artifacts.xml"),
            ("artifacts.xml", "<a", "its artifacts.xml is no XML"),
            ("artifacts.xml", "<a/>", "names no carbon/application"),
        ] {
            let refused = Capp::read(archive(name, text)).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        let refused = Capp::read(Cursor::new(b"PK".to_vec())).unwrap_err();
        assert!(refused.contains("no archive"), "{refused}");
    }
}
