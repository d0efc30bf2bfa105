//! A product's release: its version and its update level, as the folder of the release is called.

use std::fmt;

/// `4.5.0+12`. Compared as people do: 4.10 is newer than 4.9, a level is newer than the version without one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    version: Vec<u32>,
    /// Of WSO2 Updates; 0 is the version as it was published.
    level: u32,
}

impl Release {
    /// Of a release's folder: `4.5.0+12`, also with the product in front (`wso2am-4.5.0`) or with a path. `None` when
    /// it names no version of at least two numbers.
    pub fn of(folder: &str) -> Option<Self> {
        let name = folder.trim_end_matches('/').rsplit('/').next()?;
        let name = name.rsplit('-').next()?;
        let (version, level) = name.split_once('+').unwrap_or((name, "0"));
        let version: Vec<u32> = version
            .split('.')
            .map(|number| number.parse().ok())
            .collect::<Option<_>>()?;
        let level = level.parse().ok()?;
        (version.len() >= 2).then_some(Self { version, level })
    }

    /// The first two numbers: versions of one line share their tables, those of two do not.
    pub fn line(&self) -> &[u32] {
        self.version.get(..2).unwrap_or(&self.version)
    }

    pub fn version(&self) -> String {
        let numbers: Vec<String> = self.version.iter().map(ToString::to_string).collect();
        numbers.join(".")
    }

    pub fn level(&self) -> u32 {
        self.level
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version())?;
        match self.level {
            0 => Ok(()),
            level => write!(f, "+{level}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Release;

    #[test]
    fn folders_name_releases() {
        let shown = |folder| Release::of(folder).map(|release| release.to_string());
        assert_eq!(
            shown("/opt/wso2/apim/releases/4.5.0+12"),
            Some("4.5.0+12".into())
        );
        assert_eq!(shown("wso2am-4.5.0/"), Some("4.5.0".into()));
        assert_eq!(shown("4.5"), Some("4.5".into()));
        for nothing in ["", "current", "4", "4.x", "4.5.0+", "4.5.0+new"] {
            assert_eq!(shown(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn newer_is_what_people_call_newer() {
        let of = |name| Release::of(name);
        assert!(of("4.10.0") > of("4.9.0"));
        assert!(of("4.5.0+2") > of("4.5.0") && of("4.5.0+10") > of("4.5.0+9"));
        assert!(of("4.5.1") > of("4.5.0+99"));
        let line = |name| of(name).map(|release| release.line().to_vec());
        assert_eq!(line("4.3.1+2"), line("4.3.0"));
        assert_ne!(line("4.3.0"), line("4.4.0"));
    }
}
