package standin.mi;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import standin.base.Call;
import standin.base.Json;
import standin.base.Node;
import standin.base.Tree;

/** Probes and the management API, on the internal HTTP and HTTPS ports. */
final class InternalApi {
    private static final long TOKEN_MILLIS = 3_600_000;

    private final Tree toml;
    private final Deployment deployment;
    private final Tasks tasks;
    private final Map<String, Long> tokens = new LinkedHashMap<>();

    InternalApi(Tree toml, Deployment deployment, Tasks tasks) {
        this.toml = toml;
        this.deployment = deployment;
        this.tasks = tasks;
    }

    void serve(Call call, boolean https) throws IOException {
        String protocol = https ? "https" : "http";
        if (call.is("GET", "/healthz") && allowed("readiness_probe", "http", protocol)) {
            List<String> faulty = deployment.faulty();
            Map<String, Object> body = Json.map("version", Node.version(), "update_level", Node.updateLevel(), "status", faulty.isEmpty() ? "ready" : "not ready: faulty CAPPs detected");
            if (!faulty.isEmpty()) {
                body.put("Faulty CAPPs", faulty);
            }
            call.json(faulty.isEmpty() ? 200 : 500, body);
        } else if (call.is("GET", "/liveness") && allowed("liveness_probe", "http", protocol)) {
            call.json(200, Json.map("server", "started"));
        } else if (call.is("GET", "/standin/state")) {
            Map<String, Object> state = tasks.state();
            state.put("node", Node.name());
            call.json(200, state);
        } else if (call.path().startsWith("/management/") && allowed("management_api", "https http", protocol)) {
            management(call, call.path().substring("/management".length()));
        } else {
            call.text(404, "");
        }
    }

    private boolean allowed(String what, String otherwise, String protocol) {
        return List.of(toml.text(what + ".protocols", otherwise).split("[ ,]+")).contains(protocol);
    }

    private void management(Call call, String path) throws IOException {
        if (path.equals("/login")) {
            login(call);
            return;
        }
        String token = call.bearer();
        synchronized (tokens) {
            if (token == null || tokens.getOrDefault(token, 0L) < System.currentTimeMillis()) {
                call.set("WWW-Authenticate", "Bearer").json(401, Json.map("error", "Unauthorized"));
                return;
            }
        }
        switch (call.method() + " " + path) {
            case "GET /logout":
                synchronized (tokens) {
                    tokens.remove(token);
                }
                call.json(200, Json.map("message", "logged out"));
                return;
            case "GET /server":
                call.json(200, Json.map("productName", "WSO2 Micro Integrator (stand-in)", "productVersion", Node.version(), "carbonHome",
                        Node.home().toString(), "javaHome", System.getProperty("java.home"), "javaVersion", System.getProperty("java.version"),
                        "osName", System.getProperty("os.name"), "workDirectory", Node.home().toString(), "node", Node.name(), "update_level", Node.updateLevel()));
                return;
            case "PATCH /server":
                control(call);
                return;
            case "GET /applications":
                call.json(200, deployment.shown());
                return;
            case "GET /apis":
                List<Object> apis = new ArrayList<>();
                deployment.active().forEach(a -> a.answers.keySet().forEach(c -> apis.add(Json.map("name", c.substring(1), "url", c))));
                call.json(200, Json.map("count", apis.size(), "list", apis));
                return;
            case "GET /tasks":
                List<Object> names = new ArrayList<>();
                tasks.names().forEach(n -> names.add(Json.map("name", n)));
                call.json(200, Json.map("count", names.size(), "list", names));
                return;
            default:
                call.json(404, Json.map("Error", "no such resource in the stand-in"));
        }
    }

    /** The token is known to this node only. */
    private void login(Call call) throws IOException {
        String[] basic = call.basic();
        boolean good = false;
        List<Tree> users = toml.tables("internal_apis.users");
        for (Tree u : users) {
            good |= basic != null && basic[0].equals(u.text("user.name", null)) && basic[1].equals(u.text("user.password", null));
        }
        if (users.isEmpty()) {
            good = basic != null && basic[0].equals("admin") && basic[1].equals("admin");
        }
        if (!good) {
            call.set("WWW-Authenticate", "Basic").json(401, Json.map("error", "Unauthorized"));
            return;
        }
        String token = UUID.randomUUID().toString().replace("-", "");
        synchronized (tokens) {
            tokens.put(token, System.currentTimeMillis() + TOKEN_MILLIS);
            while (tokens.size() > 200) {
                tokens.remove(tokens.keySet().iterator().next());
            }
        }
        call.json(200, Json.map("AccessToken", token));
    }

    private static void control(Call call) throws IOException {
        Map<String, Object> body = Json.object(call.bodyText());
        String status = body == null ? "" : String.valueOf(body.get("status"));
        if (!status.matches("(shutdown|restart)(Gracefully)?")) {
            call.json(400, Json.map("Error", "unknown status"));
            return;
        }
        call.json(200, Json.map("Message", "The server will start to " + status));
        Node.daemon("control", () -> {
            Node.sleep(300);
            System.exit(status.startsWith("restart") ? 121 : 0);
        });
    }
}
