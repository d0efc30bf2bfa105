//! `tenant`: makes a tenant of API Manager be there and usable, or inactive.
//!
//! Tenants are never deleted: their rows stay in two databases, and API Manager's own advice is to deactivate them.
//! Source: wso2/docs-apim, `administer/multitenancy/managing-tenants.md`; the service and its bean:
//! wso2/carbon-multitenancy, `TenantMgtAdminService.java` and `.wsdl`.

use super::shared::apim::{self, Login, Reply};
use super::shared::patience::{Attempt, insist};
use super::shared::soap;
use super::shared::words::seconds;
use super::shared::yes;
use super::{Fault, Kind, Module, Review};
use crate::system::{Result, System};
use crate::wire::Failure;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Of the management port.
    #[serde(default = "apim::default_url")]
    url: String,
    /// Of the super tenant.
    user: String,
    password: String,
    domain: String,
    #[serde(default)]
    state: Wanted,
    /// The tenant's administrator, without the domain.
    #[serde(default = "admin")]
    admin: String,
    /// Given at creation, and proved at every run; never reset.
    #[serde(default)]
    admin_password: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default = "first_name")]
    first_name: String,
    #[serde(default = "last_name")]
    last_name: String,
    #[serde(default = "yes")]
    validate_certs: bool,
    /// In seconds: how long to wait for a server that still starts, and for a tenant that is still loaded.
    #[serde(default, deserialize_with = "seconds")]
    retry_for: Duration,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    #[default]
    Present,
    /// Also when there is no such tenant.
    Inactive,
}

/// What API Manager says of the tenant; `register` sees it as `standing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    Unknown,
    Inactive,
    Active,
}

#[derive(Debug)]
pub enum Change {
    Create(String),
    Activate(String),
    Deactivate(String),
}

impl Display for Change {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(domain) => write!(f, "create tenant {domain}"),
            Self::Activate(domain) => write!(f, "activate tenant {domain}"),
            Self::Deactivate(domain) => write!(f, "deactivate tenant {domain}"),
        }
    }
}

fn admin() -> String {
    "admin".into()
}

fn first_name() -> String {
    "Tenant".into()
}

fn last_name() -> String {
    "Administrator".into()
}

const SERVICE: &str = "/services/TenantMgtAdminService";
const SERVICE_NAMESPACE: &str = "http://services.mgt.tenant.carbon.wso2.org";
const BEAN_NAMESPACE: &str = "http://beans.common.stratos.carbon.wso2.org/xsd";

/// `MultitenantConstants.SUPER_TENANT_DOMAIN_NAME`; without it nobody could log in any more.
const SUPER_TENANT: &str = "carbon.super";

/// A login that was just created may be unknown to caches; a wrong password stays wrong.
const LOGIN_SETTLES: Duration = Duration::from_secs(15);

impl Module for Tenant {
    const NAME: &'static str = "tenant";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "makes a tenant of API Manager be there and usable, or inactive";
    const EXAMPLE: &'static str = "\
tenant:
  url: https://localhost:9443
  user: admin
  password: \"{{ admin_password }}\"
  domain: acme.example.com
  admin: admin
  admin_password: \"{{ tenant_password }}\"
  email: admin@acme.example.com
  validate_certs: false
  retry_for: 120
no_log: true
";
    type Change = Change;

    fn review(&self, review: &mut Review<'_>) {
        review.web("url", &self.url);
        review.filled("domain", self.domain.as_str());
        if self.domain == SUPER_TENANT {
            let reason = "it is not a tenant to be made or deactivated";
            review.push(Fault::of("domain", &self.domain, reason));
        }
        if self.state == Wanted::Present && self.admin_password.is_none() {
            review.push(Fault::new(
                "`admin_password` is missing: a tenant is made with an administrator",
            ));
        }
    }

    fn check(&self, system: &System) -> Result<Vec<Change>> {
        let domain = self.domain.clone();
        let standing = self.standing(system)?;
        if let Ok(word) = serde_json::to_value(standing) {
            system.note("standing", word);
        }
        Ok(match (standing, self.state) {
            (Standing::Unknown, Wanted::Present) => vec![Change::Create(domain)],
            (Standing::Inactive, Wanted::Present) => vec![Change::Activate(domain)],
            (Standing::Active, Wanted::Inactive) => vec![Change::Deactivate(domain)],
            (Standing::Active, Wanted::Present) => {
                self.prove(system)?;
                vec![]
            }
            (Standing::Unknown | Standing::Inactive, Wanted::Inactive) => vec![],
        })
    }

    fn apply(&self, system: &System, change: Change) -> Result<()> {
        match change {
            Change::Create(_) => {
                self.call(system, "addTenant", &self.bean()?)?;
                // Activation is the last step of a creation, and may be the one that was lost.
                match self.standing(system)? {
                    Standing::Inactive => self.switch(system, "activateTenant"),
                    Standing::Active | Standing::Unknown => Ok(()),
                }
            }
            Change::Activate(_) => self.switch(system, "activateTenant"),
            Change::Deactivate(_) => self.switch(system, "deactivateTenant"),
        }
    }
}

impl Tenant {
    fn standing(&self, system: &System) -> Result<Standing> {
        let request = soap::request(
            &self.login(),
            SERVICE,
            SERVICE_NAMESPACE,
            "getTenant",
            &self.domain_element()?,
        );
        let reply = apim::ask_patiently(system, &request, self.retry_for)?;
        let answer = self.understood(&reply, "getTenant")?;
        // For a domain that nobody has, the bean comes with nothing in it.
        let id = answer.number("tenantId").ok_or_else(|| {
            Failure::new(format!("{} does not say who the tenant is", reply.asked))
                .detail(reply.unexpected().detail)
        })?;
        Ok(match (id, answer.text("active")) {
            (0, _) => Standing::Unknown,
            (_, Some("true")) => Standing::Active,
            _ => Standing::Inactive,
        })
    }

    fn switch(&self, system: &System, operation: &str) -> Result<()> {
        self.call(system, operation, &self.domain_element()?)
    }

    fn call(&self, system: &System, operation: &str, parameters: &str) -> Result<()> {
        let login = self.login();
        let request = soap::request(&login, SERVICE, SERVICE_NAMESPACE, operation, parameters);
        let reply = apim::ask(system, &request)?;
        self.understood(&reply, operation).map(|_| ())
    }

    fn login(&self) -> Login {
        Login {
            url: self.url.clone(),
            user: self.user.clone(),
            password: self.password.clone(),
            validate_certs: self.validate_certs,
        }
    }

    fn understood(&self, reply: &Reply, operation: &str) -> Result<soap::Answer> {
        match soap::understood(reply) {
            Ok(answer) => Ok(answer),
            Err(soap::Trouble::Refused) => Err(Failure::new(format!(
                "{} refuses the login of `{}`",
                reply.asked, self.user
            ))
            .help("only an administrator of the super tenant manages tenants; check `user` and `password`")),
            Err(soap::Trouble::Fault(words)) => Err(Failure::new(format!(
                "API Manager refuses `{operation}` for tenant {}: {words}",
                self.domain
            ))
            .help("the server's log, wso2carbon.log, has the cause")),
            Err(soap::Trouble::Unreadable(failure)) => Err(failure),
        }
    }

    fn domain_element(&self) -> Result<String> {
        soap::element("p", "tenantDomain", &self.domain)
    }

    /// In the order of the schema.
    fn bean(&self) -> Result<String> {
        let email = match &self.email {
            Some(email) => email.clone(),
            None => format!("{}@{}", self.admin, self.domain),
        };
        let fields = [
            ("active", "true"),
            ("admin", &self.admin),
            (
                "adminPassword",
                self.admin_password.as_deref().unwrap_or_default(),
            ),
            ("email", &email),
            ("firstname", &self.first_name),
            ("lastname", &self.last_name),
            ("tenantDomain", &self.domain),
            ("tenantId", "0"),
            ("usagePlan", "Demo"),
        ];
        let fields: Result<String> = fields
            .iter()
            .map(|(name, value)| soap::element("b", name, value))
            .collect();
        Ok(format!(
            "<p:tenantInfoBean xmlns:b=\"{BEAN_NAMESPACE}\">{}</p:tenantInfoBean>",
            fields?
        ))
    }

    /// A tenant is complete when API Manager has loaded it, and a call as its administrator makes it do so.
    /// Source: wso2/carbon-multitenancy#121.
    fn prove(&self, system: &System) -> Result<()> {
        let login = Login {
            user: format!("{}@{}", self.admin, self.domain),
            password: self.admin_password.clone().unwrap_or_default(),
            ..self.login()
        };
        let request = login.request("GET", &format!("{}?limit=1", apim::SERVICES));
        let refused = |reply: &Reply| {
            Failure::new(format!("{} refuses the login of `{}`", reply.asked, login.user)).help(
                "the tenant's administrator has another password: give that one, or set it anew in the \
                 management console; it is never reset here",
            )
        };
        let settles = self.retry_for.min(LOGIN_SETTLES);
        insist(system, self.retry_for, || {
            let reply = insist(system, settles, || {
                Ok(match apim::ask(system, &request) {
                    Ok(reply) if reply.status == 401 => Attempt::NotYet(refused(&reply)),
                    other => Attempt::Done(other),
                })
            })?;
            Ok(match reply {
                Ok(reply) if reply.status == 200 => Attempt::Done(()),
                Ok(reply) => Attempt::NotYet(reply.unexpected()),
                Err(failure) => Attempt::NotYet(failure),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_password_holds_arrives() {
        let password = "a<b>&\"c'd]]>é \n";
        let tenant: Tenant = serde_json::from_value(serde_json::json!({
            "user": "admin", "password": "x", "domain": "a.example.com", "admin_password": password,
        }))
        .unwrap();
        let request = soap::request(
            &tenant.login(),
            SERVICE,
            SERVICE_NAMESPACE,
            "addTenant",
            &tenant.bean().unwrap(),
        );
        let body = String::from_utf8(request.body.unwrap()).unwrap();
        let document = roxmltree::Document::parse(&body).unwrap();
        let text = |name: &str| {
            let wanted = (BEAN_NAMESPACE, name);
            let found = document.descendants().find(|n| n.has_tag_name(wanted));
            found.and_then(|n| n.text()).unwrap_or_default().to_owned()
        };
        assert_eq!(text("adminPassword"), password);
        assert_eq!(text("email"), "admin@a.example.com");
        assert_eq!(text("tenantDomain"), "a.example.com");
        let operation = (SERVICE_NAMESPACE, "addTenant");
        assert!(document.descendants().any(|n| n.has_tag_name(operation)));
        assert!(!request.url.contains('x'), "{}", request.url);
    }

    #[test]
    fn what_xml_cannot_hold_is_refused_and_not_shown() {
        let problem = soap::element("b", "adminPassword", "se\u{1}cret").unwrap_err();
        assert!(problem.message.contains("adminPassword"), "{problem}");
        assert!(!format!("{problem:?}").contains("cret"), "{problem:?}");
    }
}
