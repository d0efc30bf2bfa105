package standin.am;

import java.io.IOException;
import java.sql.SQLException;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import standin.base.Call;
import standin.base.Json;
import standin.base.Log;

/** The SOAP admin services a deployer uses: TenantMgtAdminService, and adding users by RemoteUserStoreManagerService. */
final class TenantAdmin {
    private static final String LOGGER = "org.wso2.carbon.tenant.mgt.services.TenantMgtAdminService";
    private static final String EMAIL = "[^@\\s]+@[^@\\s]+[.][^@\\s]+";
    private static final String SERVICE_NS = "http://services.mgt.tenant.carbon.wso2.org";

    private final AmData data;
    private final Management.Announce announce;

    TenantAdmin(AmData data, Management.Announce announce) {
        this.data = data;
        this.announce = announce;
    }

    void serve(Call call, AmData.User user) throws IOException, SQLException {
        String service = call.path().substring("/services/".length()).split("[./?]")[0];
        if (!service.matches("TenantMgtAdminService|RemoteUserStoreManagerService")) {
            call.xml(404, fault("The endpoint reference (EPR) for the Operation not found is " + call.path()));
        } else if (data == null || user == null) {
            call.set("WWW-Authenticate", "Basic realm=\"WSO2 API Manager\"").xml(401, fault("Access Denied. Please login first."));
        } else if (service.startsWith("Tenant")) {
            if (user.tenant != AmData.SUPER_TENANT) {
                Log.error(LOGGER, "Security Alert! Non super tenant trying to create a tenant.");
                call.xml(500, fault("Invalid data."));
            } else {
                tenants(call, user);
            }
        } else {
            users(call, user);
        }
    }

    private void tenants(Call call, AmData.User caller) throws IOException, SQLException {
        String body = call.bodyText();
        String domain = field(body, "tenantDomain");
        String operation = operation(body);
        Map<String, String> tenant = domain == null ? null : data.tenant(domain);
        switch (operation) {
            case "addTenant":
                add(call, body, domain, tenant, caller);
                return;
            case "updateTenant":
                if (tenant == null) {
                    call.xml(500, fault("Error in retrieving the tenant id for the tenant domain: " + domain + "."));
                } else if (field(body, "email") != null && !field(body, "email").matches(EMAIL)) {
                    call.xml(500, fault("Invalid email is provided."));
                } else {
                    Map<String, Object> admin = AmData.tenantAdmin(tenant);
                    keep(admin, "firstname", field(body, "firstname"));
                    keep(admin, "lastname", field(body, "lastname"));
                    data.updateTenant(tenant, field(body, "email") == null ? tenant.get("UM_EMAIL") : field(body, "email"), admin,
                            field(body, "adminPassword"));
                    done("Updated", domain, caller);
                    answer(call, operation, "");
                }
                return;
            case "activateTenant":
            case "deactivateTenant":
                if (tenant == null) {
                    call.xml(500, fault("Error in retrieving the tenant id for the tenant domain: " + domain + "."));
                } else {
                    data.activate(domain, operation.equals("activateTenant"));
                    done(operation.equals("activateTenant") ? "Activated" : "Deactivated", domain, caller);
                    answer(call, operation, "");
                }
                return;
            case "getTenant":
                answer(call, operation, bean(tenant));
                return;
            case "retrieveTenants":
                StringBuilder all = new StringBuilder();
                for (Map<String, String> t : data.tenants()) {
                    all.append(bean(t));
                }
                answer(call, operation, all.toString());
                return;
            default:
                call.xml(500, fault("The endpoint reference (EPR) for the Operation not found is " + call.path() + " and the WSA Action = "
                        + call.header("SOAPAction") + ". If this EPR was previously reachable, please contact the server administrator."));
        }
    }

    /** The checks of the product, in its order. A domain without a dot passes. */
    private void add(Call call, String body, String domain, Map<String, String> tenant, AmData.User caller) throws IOException, SQLException {
        String why = field(body, "email") == null || !field(body, "email").matches(EMAIL) ? "Invalid email is provided."
                : domain == null ? "Provided domain name is empty."
                : domain.startsWith(".") ? "Invalid domain, starting with '.'"
                : domain.matches(".*[^a-z0-9._-].*") ? "The tenant domain ' " + domain + " ' contains one or more illegal characters. "
                        + "The valid characters are lowercase letters, numbers, '.', '-' and '_'."
                : tenant != null || domain.equals("carbon.super") ? "A tenant with same domain already exist. Please use a different domain name. tenant domain: "
                        + domain + "."
                : field(body, "admin") == null ? "Error in adding tenant admin: Username is null or not valid."
                : !String.valueOf(field(body, "adminPassword")).matches("\\S{5,30}") || field(body, "adminPassword") == null
                        ? "Error in adding tenant admin: Credential not valid. Credential must be a non null string with following format, ^[\\S]{5,30}$" : null;
        if (why != null) {
            Log.error(LOGGER, why);
            call.xml(500, fault(why));
            return;
        }
        data.addTenant(domain, field(body, "email"), Json.map("admin", field(body, "admin"), "firstname", field(body, "firstname"),
                "lastname", field(body, "lastname")), field(body, "adminPassword"));
        done("Added", domain, caller);
        answer(call, "addTenant", "<ns:return>" + data.tenant(domain).get("UM_TENANT_UUID") + "</ns:return>");
    }

    private void done(String what, String domain, AmData.User caller) throws SQLException {
        Log.info(LOGGER, what + " the tenant '" + domain + " [" + data.tenant(domain).get("UM_ID") + "]' by '" + caller.name + "'");
        announce.event("notification", Json.map("type", "TENANT", "domain", domain));
    }

    private static void keep(Map<String, Object> admin, String name, String value) {
        if (value != null) {
            admin.put(name, value);
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

    /** A tenant that is not there is a bean with tenant id 0 and nil fields, as in the product. */
    private static String bean(Map<String, String> t) {
        Map<String, Object> admin = t == null ? Json.map() : AmData.tenantAdmin(t);
        return "<ns:return xmlns:ax2=\"http://beans.common.stratos.carbon.wso2.org/xsd\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\""
                + " xsi:type=\"ax2:TenantInfoBean\">" + element("active", t != null && AmData.active(t)) + element("admin", admin.get("admin"))
                + element("adminPassword", null) + element("createdDate", t == null || t.get("UM_CREATED_DATE") == null ? null
                        : t.get("UM_CREATED_DATE").replace(' ', 'T').replaceAll("[.].*", "") + ".000Z")
                + element("email", t == null ? null : t.get("UM_EMAIL")) + element("firstname", admin.get("firstname"))
                + element("lastname", admin.get("lastname")) + element("name", t == null ? null : t.get("UM_DOMAIN_NAME"))
                + element("originatedService", null) + element("successKey", null) + element("tenantDomain", t == null ? null : t.get("UM_DOMAIN_NAME"))
                + element("tenantId", t == null ? 0 : t.get("UM_ID")) + element("usagePlan", t == null ? null : "") + "</ns:return>";
    }

    private static String element(String name, Object value) {
        return value == null ? "<ax2:" + name + " xsi:nil=\"true\"/>" : "<ax2:" + name + ">" + escaped(value.toString()) + "</ax2:" + name + ">";
    }

    private static String escaped(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
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
        return envelope("<soapenv:Fault><faultcode>soapenv:Server</faultcode><faultstring>" + escaped(why) + "</faultstring><detail/></soapenv:Fault>");
    }

    private static String envelope(String inner) {
        return "<?xml version='1.0' encoding='UTF-8'?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body>"
                + inner + "</soapenv:Body></soapenv:Envelope>";
    }
}
