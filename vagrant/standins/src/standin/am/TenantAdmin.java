package standin.am;

import java.io.IOException;
import java.sql.SQLException;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import standin.base.Call;
import standin.base.Log;

/** The SOAP admin services a deployer uses: TenantMgtAdminService, and adding users by RemoteUserStoreManagerService. */
final class TenantAdmin {
    private static final String SERVICE_NS = "http://services.mgt.tenant.carbon.wso2.org";

    private final AmData data;

    TenantAdmin(AmData data) {
        this.data = data;
    }

    void serve(Call call, AmData.User user) throws IOException, SQLException {
        String service = call.path().substring("/services/".length()).split("[./?]")[0];
        if (!service.matches("TenantMgtAdminService|RemoteUserStoreManagerService")) {
            call.xml(404, fault("The endpoint reference (EPR) for the Operation not found is " + call.path()));
        } else if (data == null || user == null) {
            call.set("WWW-Authenticate", "Basic realm=\"WSO2 API Manager\"").xml(401, fault("Access Denied. Please login first."));
        } else if (service.startsWith("Tenant")) {
            if (user.tenant != AmData.SUPER_TENANT) {
                call.xml(500, fault("Illegal access attempt: only the super tenant manages tenants"));
            } else {
                tenants(call);
            }
        } else {
            users(call, user);
        }
    }

    private void tenants(Call call) throws IOException, SQLException {
        String body = call.bodyText();
        String domain = field(body, "tenantDomain");
        Map<String, String> tenant = domain == null ? null : data.tenant(domain);
        switch (operation(body)) {
            case "addTenant":
                if (domain == null || !domain.matches("[a-z0-9-]+(\\.[a-z0-9-]+)+")) {
                    call.xml(500, fault("The tenant domain " + domain + " is not valid; a form like example.com is needed"));
                } else if (tenant != null) {
                    call.xml(500, fault("A tenant with same domain already exist. Please use a different domain name. tenant domain: " + domain + "."));
                } else if (field(body, "admin") == null || !String.valueOf(field(body, "adminPassword")).matches("\\S{5,30}")) {
                    call.xml(500, fault("Invalid tenant admin name or password"));
                } else {
                    data.addTenant(domain, field(body, "email"), field(body, "admin"), field(body, "adminPassword"));
                    Log.info("org.wso2.carbon.tenant.mgt.services.TenantMgtAdminService", "Added the tenant '" + domain + "' by 'admin'");
                    answer(call, "addTenant", "<ns:return>" + data.tenant(domain).get("UM_TENANT_UUID") + "</ns:return>");
                }
                return;
            case "activateTenant":
            case "deactivateTenant":
                if (tenant == null) {
                    call.xml(500, fault("Invalid tenant domain " + domain));
                } else {
                    data.activate(domain, operation(body).equals("activateTenant"));
                    Log.info("org.wso2.carbon.tenant.mgt.services.TenantMgtAdminService", operation(body) + " '" + domain + "'");
                    answer(call, operation(body), "");
                }
                return;
            case "getTenant":
                answer(call, "getTenant", bean(tenant));
                return;
            case "retrieveTenants":
                StringBuilder all = new StringBuilder();
                for (Map<String, String> t : data.tenants()) {
                    all.append(bean(t));
                }
                answer(call, "retrieveTenants", all.toString());
                return;
            default:
                call.xml(500, fault("The operation is not known to the stand-in"));
        }
    }

    private void users(Call call, AmData.User caller) throws IOException, SQLException {
        String body = call.bodyText();
        String name = field(body, "userName");
        switch (operation(body)) {
            case "addUser":
                if (name == null || data.userExists(name, caller.tenant)) {
                    call.xml(500, fault("UserAlreadyExisting: Username '" + name + "' already exists in the system"));
                } else {
                    data.addUser(name, field(body, "credential"), caller.tenant);
                    Matcher roles = Pattern.compile("<(?:\\w+:)?roleList>\\s*([^<]+?)\\s*</").matcher(body);
                    while (roles.find()) {
                        data.addRole(name, roles.group(1), caller.tenant);
                    }
                    answer(call, "addUser", "");
                }
                return;
            case "isExistingUser":
                answer(call, "isExistingUser", "<ns:return>" + data.userExists(name, caller.tenant) + "</ns:return>");
                return;
            default:
                call.xml(500, fault("The operation is not known to the stand-in"));
        }
    }

    /** A tenant that is not there is a bean with tenant id 0, as in the product. */
    private static String bean(Map<String, String> t) {
        String head = "<ns:return xmlns:ax2=\"http://beans.common.stratos.carbon.wso2.org/xsd\">";
        return head + (t == null ? "<ax2:active>false</ax2:active><ax2:tenantDomain/><ax2:tenantId>0</ax2:tenantId>"
                : "<ax2:active>" + AmData.active(t) + "</ax2:active><ax2:email>" + t.get("UM_EMAIL") + "</ax2:email><ax2:tenantDomain>"
                + t.get("UM_DOMAIN_NAME") + "</ax2:tenantDomain><ax2:tenantId>" + t.get("UM_ID") + "</ax2:tenantId>") + "</ns:return>";
    }

    private static String operation(String body) {
        Matcher m = Pattern.compile("<(?:\\w+:)?Body[^>]*>\\s*(?:<!--.*?-->\\s*)*<(?:\\w+:)?(\\w+)", Pattern.DOTALL).matcher(body);
        return m.find() ? m.group(1) : "";
    }

    private static String field(String body, String name) {
        Matcher m = Pattern.compile("<(?:\\w+:)?" + name + "(?:\\s[^>]*)?>\\s*([^<]*?)\\s*</").matcher(body);
        return !m.find() || m.group(1).isEmpty() ? null
                : m.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&");
    }

    private static void answer(Call call, String operation, String inner) throws IOException {
        call.xml(200, envelope("<ns:" + operation + "Response xmlns:ns=\"" + SERVICE_NS + "\">" + inner + "</ns:" + operation + "Response>"));
    }

    private static String fault(String why) {
        return envelope("<soapenv:Fault><faultcode>soapenv:Server</faultcode><faultstring>" + why.replace("&", "&amp;").replace("<", "&lt;")
                + "</faultstring><detail/></soapenv:Fault>");
    }

    private static String envelope(String inner) {
        return "<?xml version='1.0' encoding='UTF-8'?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body>"
                + inner + "</soapenv:Body></soapenv:Envelope>";
    }
}
