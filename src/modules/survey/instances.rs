//! One product of the host, put together from the parts.

use super::files::Files;
use super::{Scene, configs, java, keystores, libraries, logs, service, web};
use crate::modules::shared::unit::Unit;
use crate::system::{FileKind, Result};
use crate::wire::Failure;
use crate::wire::survey::{Instance, InstanceRequest, PidFile, PidHolder, Seen, Update};
use regex::Regex;
use std::path::{Path, PathBuf};

pub fn look(scene: &Scene<'_>, asked: &InstanceRequest) -> Instance {
    let system = scene.system;
    let files = Files::of(system, asked.user.as_deref());
    let unit = Unit::look(system, &asked.service);
    let service = service::look(scene, &asked.service);
    let environment = service.as_ref().map(|s| s.environment.clone());
    let environment = environment.unwrap_or_default();
    let java_home = asked.java_home.clone().or_else(|| environment.java_home());
    Instance {
        name: asked.name.clone(),
        home: asked.home.clone(),
        release: release(scene, &asked.home),
        java: java::look(system, java_home.as_deref(), environment.path()),
        jvm: unit
            .as_ref()
            .ok()
            .and_then(|unit| java::running(scene, asked, unit)),
        unit: service.map(|s| s.facts).into(),
        pid_file: asked
            .pid_file
            .as_ref()
            .map(|path| pid_file(scene, asked, path).into()),
        log: asked.log.as_ref().map(|log| {
            let unit = unit.as_ref().map_err(Clone::clone);
            unit.and_then(|unit| logs::look(scene, &asked.home, log, unit))
                .into()
        }),
        journal: logs::journal(scene, asked).into(),
        configs: asked
            .configs
            .iter()
            .map(|c| configs::look(&files, &asked.home, &environment, c))
            .collect(),
        keystores: asked
            .keystores
            .iter()
            .map(|k| keystores::look(&files, &asked.home, java_home.as_deref(), k))
            .collect(),
        libraries: asked
            .libraries
            .iter()
            .map(|folder| libraries::look(system, &asked.home.join(folder)))
            .collect(),
        folders: asked
            .folders
            .iter()
            .map(|f| files.folder(&asked.home.join(f)))
            .collect(),
        password_files: files.beginning(&asked.home, "password-").into(),
        offenders: match asked.user {
            Some(_) => files.offenders(&asked.home, &asked.walk).into(),
            None => Seen::unknown("nobody said whom the files belong to"),
        },
        update: update(scene, &asked.home).into(),
        http: web::look(scene, &asked.http),
    }
}

fn release(scene: &Scene<'_>, home: &Path) -> Option<PathBuf> {
    let real = scene.system.follow(home).ok()?;
    let meta = scene.system.meta(&real).ok()??;
    (meta.kind == FileKind::Directory).then_some(real)
}

fn pid_file(scene: &Scene<'_>, asked: &InstanceRequest, path: &Path) -> Result<PidFile> {
    let path = asked.home.join(path);
    let found = scene.system.read(&path)?;
    let text = found
        .as_deref()
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let pid = text.as_ref().and_then(|text| text.trim().parse().ok());
    let holder = match (text, pid) {
        (None, _) => PidHolder::NoFile,
        (Some(_), None) => PidHolder::NoNumber,
        (Some(_), Some(pid)) => match scene.processes.get(pid) {
            None => PidHolder::Gone,
            Some(p) if p.instance.as_deref() == Some(&asked.name) => PidHolder::Instance,
            Some(other) => PidHolder::Foreign {
                name: other.name.clone(),
            },
        },
    };
    Ok(PidFile { path, pid, holder })
}

fn update(scene: &Scene<'_>, home: &Path) -> Result<Update> {
    let folder = home.join("updates");
    let read = |name: &str| -> Result<Option<String>> {
        let bytes = scene.system.read(&folder.join(name))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    let product = read("product.txt")?;
    Ok(Update {
        product: product.and_then(|text| Some(text.lines().next()?.trim().to_owned())),
        level: level(&read("config.json")?.unwrap_or_default())?,
    })
}

/// `"update-level": "12"`, whichever way the version of the tool spells it.
fn level(text: &str) -> Result<Option<String>> {
    let pattern = Regex::new(r#"(?i)"update[-_ ]?level"\s*:\s*"?([^",}\s]+)"#)
        .map_err(|e| Failure::new(e.to_string()))?;
    Ok(pattern.captures(text).map(|found| found[1].to_owned()))
}

#[cfg(test)]
mod tests {
    use super::level;

    #[test]
    fn the_level_is_a_number_or_a_text() {
        assert_eq!(
            level(r#"{"update-level":"12"}"#).unwrap().as_deref(),
            Some("12")
        );
        assert_eq!(
            level(r#"{"updateLevel" : 7 }"#).unwrap().as_deref(),
            Some("7")
        );
        assert_eq!(level("{}").unwrap(), None);
    }
}
