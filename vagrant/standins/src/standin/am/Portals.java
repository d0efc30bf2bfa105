package standin.am;

import java.io.IOException;
import java.sql.SQLException;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import standin.base.Call;
import standin.base.Node;

/** /publisher, /devportal, /admin and /carbon: one page each, behind a login whose session lives on this node only. */
final class Portals {
    private final AmConfig config;
    private final AmData data;
    private final Map<String, String> sessions = new ConcurrentHashMap<>();

    Portals(AmConfig config, AmData data) {
        this.config = config;
        this.data = data;
    }

    void serve(Call call) throws IOException, SQLException {
        String path = call.path().replaceFirst("^/t/[^/]+(?=/carbon)", "").replaceFirst("/$", "");
        String portal = path.isEmpty() ? "" : path.split("/")[1];
        if (path.isEmpty()) {
            call.redirect(config.publicBase() + "/publisher");
        } else if (!portal.matches("publisher|devportal|admin|carbon")) {
            call.html(404, page("HTTP Status 404 - Not Found", ""));
        } else if (path.equals("/" + portal + "/login")) {
            login(call, portal);
        } else {
            String user = sessions.get(String.valueOf(call.cookie("JSESSIONID")));
            if (user == null && !portal.equals("devportal")) {
                call.redirect(config.publicBase() + "/" + portal + "/login");
            } else {
                call.html(200, page(title(portal), user == null ? "anonymous" : "signed in as " + user));
            }
        }
    }

    private void login(Call call, String portal) throws IOException, SQLException {
        if (!call.method().equals("POST")) {
            call.html(200, page(title(portal), "<form method='post' action='/" + portal + "/login'><input name='username'>"
                    + "<input name='password' type='password'><button>Sign in</button></form>"));
            return;
        }
        AmData.User user = data.login(call.form().getOrDefault("username", ""), call.form().getOrDefault("password", ""));
        if (user == null) {
            call.html(401, page(title(portal), "Login failed"));
            return;
        }
        data.registerPortal("apim:" + portal, config.publicBase() + "/" + portal + "/services/auth/callback/login");
        String session = UUID.randomUUID().toString().replace("-", "").toUpperCase();
        sessions.put(session, user.full());
        call.set("Set-Cookie", "JSESSIONID=" + session + "; Path=/; Secure; HttpOnly");
        call.redirect(config.publicBase() + "/" + portal);
    }

    private static String title(String portal) {
        switch (portal) {
            case "publisher": return "API Publisher";
            case "devportal": return "Developer Portal";
            case "admin": return "Admin Portal";
            default: return "Management Console";
        }
    }

    private static String page(String title, String body) {
        return "<!doctype html><html><head><title>" + title + " (stand-in)</title></head><body><h1>" + title + "</h1><p>This is a stand-in for "
                + "WSO2 API Manager " + Node.version() + ", not the product.</p><p>Node: <b id='node'>" + Node.name() + "</b></p><p>" + body
                + "</p></body></html>\n";
    }
}
