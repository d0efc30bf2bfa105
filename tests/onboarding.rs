//! `tenant add` and `tenant remove`: what such a run plans, and that nothing of it is another tenant's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use apim_deploy::plan::{Plan, Tags};
use apim_deploy::rules;
use apim_deploy::run::{OneTenant, Options};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use support::planned::{calls, steps};
use support::{prepared, refused, shipped};

/// One that is deployed, one that nobody knows the passwords and the names of yet, and one that is about to leave.
const HOSTS: &str = "\
all:
  vars: { ansible_become: true, apim_hostname: apim.example.com, api_hostname: api.example.com }
  children:
    apim: { hosts: { apim-1: { ansible_host: 10.0.1.11 }, apim-2: { ansible_host: 10.0.1.12 } } }
    tenants:
      children:
        acme:
          vars: { tenant_domain: acme.example.com, mi_hostname: mi.acme.example.com, si_hostname: si.acme.example.com,
                  si_source_ports: [8006], tenant_admin_password: Acme.pass, db_mi_password: AcmeMi.pass, db_si_password: AcmeSi.pass }
          children:
            mi_acme: { hosts: { a-1: { ansible_host: 10.0.2.11 }, a-2: { ansible_host: 10.0.2.12 } } }
            si_acme: { hosts: { a-3: { ansible_host: 10.0.2.13 }, a-4: { ansible_host: 10.0.2.14 } } }
        globex:
          vars: { tenant_domain: globex.example.com }
          children:
            mi_globex: { hosts: { g-1: { ansible_host: 10.0.3.21 }, g-2: { ansible_host: 10.0.3.22 } } }
            si_globex: { hosts: { g-3: { ansible_host: 10.0.3.23 }, g-4: { ansible_host: 10.0.3.24 } } }
        initech:
          vars: { tenant_domain: initech.example.com, state: absent, mi_hostname: mi.initech.example.com,
                  tenant_admin_password: Initech.pass }
          children:
            mi_initech: { hosts: { i-1: { ansible_host: 10.0.4.31 }, i-2: { ansible_host: 10.0.4.32 } } }
    database: { hosts: { db-1: { ansible_host: 10.0.0.6 } } }
    load_balancer: { hosts: { lb-1: { ansible_host: 10.0.0.5 } } }
";

/// Parts of what belongs to each: names, addresses, domains.
const GLOBEX: [&str; 3] = ["globex", "g-1", "10.0.3."];
const INITECH: [&str; 3] = ["initech", "i-1", "10.0.4."];
const ACME: [&str; 3] = ["acme", "a-1", "10.0.2."];

fn about(dir: &Path, tenant: &str, leaves: bool, engine: &str) -> Options {
    about_in(HOSTS, dir, tenant, leaves, engine)
}

fn about_in(hosts: &str, dir: &Path, tenant: &str, leaves: bool, engine: &str) -> Options {
    let place = dir.join("hosts.yaml");
    fs::write(&place, hosts).unwrap();
    let mut options = shipped(dir, "standard-ha-multitenant", &place.display().to_string());
    // The tenants have their own.
    options.extra_vars.retain(|text| {
        let own = ["tenant_admin_password", "db_mi_password", "db_si_password"];
        !own.iter().any(|name| text.starts_with(name))
    });
    options.extra_vars.push(format!("db_engine={engine}"));
    Options {
        tenant: Some(OneTenant {
            name: tenant.to_owned(),
            leaves,
        }),
        tags: Tags {
            only: vec![],
            skip: vec!["apim".to_owned()],
        },
        ..options
    }
}

#[track_caller]
fn is_free_of(plan: &Plan, parts: &[&str]) {
    for (play, host, step) in steps(plan) {
        let text = serde_json::to_string(step).unwrap();
        for part in parts {
            assert!(
                !text.contains(part),
                "{play} on {host}: `{part}` stands in {text}"
            );
        }
    }
    let text = serde_json::to_string(plan).unwrap();
    for part in parts {
        assert!(!text.contains(part), "`{part}` stands in the plan");
    }
}

#[test]
fn a_tenant_comes_without_a_touch_of_the_others() {
    for engine in ["mariadb", "postgresql"] {
        let dir = tempfile::tempdir().unwrap();
        let prepared = prepared(about(dir.path(), "acme", false, engine));
        let hosts = [
            "apim-1", "apim-2", "a-1", "a-2", "a-3", "a-4", "db-1", "lb-1",
        ];
        let mut all = prepared.all_hosts();
        all.sort();
        let mut expected = hosts.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(all, expected);
        is_free_of(&prepared.plan, &GLOBEX);
        is_free_of(&prepared.plan, &INITECH);

        let plan = &prepared.plan;
        let registered = calls(plan, "tenant");
        assert_eq!(registered.len(), 1, "{registered:?}");
        assert_eq!(registered[0].1["domain"], "acme.example.com");
        let text = serde_json::to_string(plan).unwrap();
        for part in [
            "/etc/nginx/clusters/mi_acme.http.conf",
            "/etc/nginx/clusters/mi_acme.stream.conf",
            "/etc/nginx/clusters/si_acme.stream.conf",
            "/etc/nginx/sites/mi_acme.http.conf",
            "/etc/nginx/sites/mi_acme.names",
            "/etc/nginx/sites/si_acme.stream.conf",
            "/etc/nginx/sites/acme.hosts",
            "# {mark} apim-deploy acme",
            "si_acme_state",
        ] {
            assert!(text.contains(part), "{part}");
        }
        // Its cluster is proved to answer, and nothing of API-M itself is begun.
        assert!(!text.contains("wso2-apim.service\",\"enabled"), "{text}");
        assert!(
            calls(plan, "instance")
                .iter()
                .all(|(host, _)| host.starts_with("a-"))
        );
        assert_eq!(calls(plan, "instance").len(), 4);
    }
}

/// What all share is not written by it, and no rule takes it for missing.
#[test]
fn a_tenant_of_a_whole_deployment_is_held_against_the_rules() {
    for engine in ["nginx", "haproxy"] {
        let dir = tempfile::tempdir().unwrap();
        let inventory = "inventories/standard-ha-multitenant.yaml";
        let mut whole = shipped(dir.path(), "standard-ha-multitenant", inventory);
        let set = format!("load_balancer_engine={engine}");
        whole.extra_vars.push(set);
        let name = "acme".to_owned();
        let about = Options {
            tenant: Some(OneTenant {
                name,
                leaves: false,
            }),
            ..whole.clone()
        };
        let found = |options| {
            let judgeable = prepared(options).judgeable.unwrap();
            assert_eq!(judgeable.unplanned, None);
            let found = judgeable.offline().told().found;
            found.into_iter().map(|j| j.rule).collect::<Vec<_>>()
        };
        assert_eq!(found(about), found(whole));
    }
}

#[test]
fn a_tenant_leaves_without_a_touch_of_the_others() {
    for (tenant, others, addresses) in [
        ("acme", [GLOBEX, INITECH], "10.0.2."),
        ("initech", [GLOBEX, ACME], "10.0.4."),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let prepared = prepared(about(dir.path(), tenant, true, "postgresql"));
        let plan = &prepared.plan;
        others.iter().for_each(|parts| is_free_of(plan, parts));
        assert_eq!(
            prepared.inventory.leaves_for_now(tenant),
            tenant == "acme",
            "of {tenant} the inventory says something else"
        );
        let told = calls(plan, "tenant");
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].1["domain"], format!("{tenant}.example.com"));
        assert_eq!(told[0].1["state"], "inactive");
        let removed: Vec<&str> = calls(plan, "file")
            .into_iter()
            .filter(|(host, params)| *host == "lb-1" && params["state"] == "absent")
            .filter_map(|(_, params)| params["path"].as_str())
            .collect();
        let expected = [
            format!("/etc/nginx/clusters/mi_{tenant}.http.conf"),
            format!("/etc/nginx/clusters/mi_{tenant}.stream.conf"),
            format!("/etc/nginx/clusters/si_{tenant}.http.conf"),
            format!("/etc/nginx/clusters/si_{tenant}.stream.conf"),
            format!("/etc/nginx/sites/mi_{tenant}.http.conf"),
            format!("/etc/nginx/sites/mi_{tenant}.names"),
            format!("/etc/nginx/sites/si_{tenant}.stream.conf"),
            format!("/etc/nginx/sites/{tenant}.hosts"),
        ];
        assert_eq!(removed, expected);
        // Nobody lists its hosts any more.
        let text = serde_json::to_string(plan).unwrap();
        assert!(!text.contains(addresses), "{text}");
        let blocks: Vec<_> = calls(plan, "blockinfile")
            .into_iter()
            .filter(|(_, params)| params["marker"] == format!("# {{mark}} apim-deploy {tenant}"))
            .map(|(host, params)| (host, params["state"].clone()))
            .collect();
        let mut on: Vec<&str> = blocks.iter().map(|(host, _)| *host).collect();
        on.dedup();
        assert_eq!(on, ["apim-1", "apim-2", "db-1", "lb-1", "db-1"]);
        assert!(blocks.iter().all(|(_, state)| *state == json!("absent")));
    }
}

/// The balancer's ports are one file's: it must not forget one of a tenant that is about to leave.
#[test]
fn ports_of_other_tenants_stay_open() {
    let dir = tempfile::tempdir().unwrap();
    let hosts = HOSTS.replace(
        "state: absent, mi_hostname",
        "state: absent, mi_public_port: 8254, mi_hostname",
    );
    for leaves in [false, true] {
        let plan = prepared(about_in(&hosts, dir.path(), "acme", leaves, "mariadb")).plan;
        let shared = calls(&plan, "template")
            .into_iter()
            .find(|(_, params)| params["dest"] == "/etc/nginx/sites/internal.stream.conf");
        let text = shared.unwrap().1["content"]["text"].as_str().unwrap();
        for port in [8253, 8254] {
            assert!(text.contains(&format!("listen {port};")), "{text}");
        }
    }
}

/// What all share may differ from what is written, and that is for a full run to tell.
#[test]
fn what_all_share_is_left_alone() {
    for engine in ["mariadb", "postgresql"] {
        let dir = tempfile::tempdir().unwrap();
        let plan = prepared(about(dir.path(), "acme", false, engine)).plan;
        let on_shared: Vec<String> = steps(&plan)
            .into_iter()
            .filter(|(_, host, _)| !host.starts_with("a-"))
            .map(|(_, _, step)| serde_json::to_string(step).unwrap())
            .collect();
        for part in [
            "/etc/nginx/nginx.conf",
            "portals.http.conf",
            "/etc/nginx/clusters/apim.",
            "of-no-tenant.hosts",
            "60-wso2.conf",
            "90-wso2.c",
            "\"shared_db\"",
            "\"apim_db\"",
            "\"# {mark} apim-deploy\"",
        ] {
            let found = on_shared.iter().find(|step| step.contains(part));
            assert!(found.is_none(), "{engine}: `{part}` stands in {found:?}");
        }
        // Of its own hosts nothing is left out.
        let own = |part: &str| {
            let mut steps = steps(&plan).into_iter();
            steps.any(|(_, host, step)| {
                host == "a-1" && serde_json::to_string(step).unwrap().contains(part)
            })
        };
        assert!(own("60-wso2.conf") && own("\"# {mark} apim-deploy\""));
    }
}

/// A port of a tenant's own goes with it, in a run about it and in one about everything.
#[test]
fn the_port_of_a_tenant_that_leaves_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let hosts = HOSTS.replace(
        "state: absent, mi_hostname",
        "state: absent, mi_public_port: 8254, mi_hostname",
    );
    let plan = prepared(about_in(&hosts, dir.path(), "initech", true, "mariadb")).plan;
    let shared = calls(&plan, "template")
        .into_iter()
        .find(|(_, params)| params["dest"] == "/etc/nginx/sites/internal.stream.conf");
    let text = shared.unwrap().1["content"]["text"].as_str().unwrap();
    assert!(!text.contains("listen 8254;"), "{text}");
    assert!(text.contains("listen 8253;"), "{text}");
}

/// What a host of a tenant is asked to resolve is what /etc/hosts gives it.
#[test]
fn hosts_of_a_tenant_know_no_other_one() {
    let dir = tempfile::tempdir().unwrap();
    let inventory = "inventories/standard-ha-multitenant-large.yaml";
    let prepared = prepared(shipped(dir.path(), "standard-ha-multitenant", inventory));
    let site = &prepared.judgeable.as_ref().unwrap().site;
    for (host, known, unknown) in [
        ("mi-acme-1", "mi.acme.example.com", "mi.globex.example.com"),
        ("mi-acme-1", "si-acme-1", "mi-globex-1"),
        ("mi-acme-1", "apim-1", "mi-globex-2"),
        ("apim-1", "mi.globex.example.com", "nobody"),
    ] {
        let asked = rules::request(site, host).names;
        let written: Vec<&str> = site.hosts[host]
            .files
            .iter()
            .filter(|file| file.dest == "/etc/hosts")
            .flat_map(|file| file.text.as_ref().unwrap().text.split_whitespace())
            .collect();
        assert!(asked.iter().any(|name| name == known), "{asked:?}");
        assert!(!asked.iter().any(|name| name == unknown), "{asked:?}");
        assert!(written.contains(&known), "{written:?}");
        assert!(!written.contains(&unknown), "{written:?}");
    }
}

/// Asked first, taken away in the order of the requests' way, stopped last.
#[test]
fn what_leaves_goes_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let plan = prepared(about(dir.path(), "acme", true, "mariadb")).plan;
    let at = |part: &str| {
        let place = plan.plays.iter().position(|play| {
            serde_json::to_string(play).unwrap().contains(part) && !play.batches.is_empty()
        });
        place.unwrap_or_else(|| panic!("`{part}` is nowhere"))
    };
    let asked = at("Ask whether an API still uses a service of tenants that leave");
    let routes = at("/etc/nginx/sites/mi_acme.http.conf");
    let inactive = at("\"state\":\"inactive\"");
    let stopped = at("wso2-mi.service");
    assert_eq!(asked, 0, "something is done before the catalog is asked");
    assert!(routes < inactive && inactive < stopped);
    let last: Vec<&String> = plan.plays[stopped]
        .batches
        .iter()
        .flat_map(|batch| batch.hosts.keys())
        .collect();
    assert_eq!(last, ["a-1", "a-2", "a-3", "a-4"]);
}

/// `--retire TENANT` is `state: absent` for one run; hosts that are named one by one may be a mistake.
#[test]
fn a_tenant_can_be_retired_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let retired = |pattern: &str| Options {
        tenant: None,
        tags: Tags::default(),
        retire: Some(pattern.to_owned()),
        extra_vars: vec![],
        ..about(dir.path(), "acme", false, "mariadb")
    };
    // Globex is incomplete, so here everything is written with what all need.
    let complete = |mut options: Options| {
        let own = about(dir.path(), "acme", false, "mariadb").extra_vars;
        options.extra_vars = own;
        options
            .extra_vars
            .push("mi_hostname=mi.example.com".to_owned());
        options
            .extra_vars
            .push("si_hostname=si.example.com".to_owned());
        for name in ["tenant_admin_password", "db_mi_password", "db_si_password"] {
            options.extra_vars.push(format!("{name}=Some.pass"));
        }
        options
    };
    let prepared = prepared(complete(retired("acme")));
    let told = calls(&prepared.plan, "tenant");
    let state = |domain: &str| {
        let found = told.iter().find(|(_, params)| params["domain"] == domain);
        found.unwrap().1["state"].clone()
    };
    assert_eq!(state("acme.example.com"), "inactive");
    assert_eq!(state("initech.example.com"), "inactive");
    assert_eq!(state("globex.example.com"), Value::Null);

    for pattern in ["a-1:a-2:a-3:a-4", "mi_acme:si_acme"] {
        let problems = refused(complete(retired(pattern)));
        let said = problems.render(false);
        assert_eq!(problems.len(), 1, "{said}");
        assert!(said.contains("tenant `acme` has no cluster"), "{said}");
        assert!(said.contains("--retire acme"), "{said}");
    }
}
