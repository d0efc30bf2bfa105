package standin.am;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import javax.net.ssl.SSLContext;
import standin.base.Call;
import standin.base.Http;
import standin.base.Json;
import standin.base.Log;
import standin.base.Node;

/** The API gateway: pulls deployed APIs from the control plane, answers or forwards calls to them. */
final class Gateway {
    private static final String STARTUP = "org.wso2.carbon.apimgt.gateway.listeners.GatewayStartupListener";

    private final AmConfig config;
    private final SSLContext trust;
    private final Map<String, Map<String, Object>> byContext = new ConcurrentHashMap<>();
    private volatile boolean ready;

    Gateway(AmConfig config, SSLContext trust) {
        this.config = config;
        this.trust = trust;
    }

    boolean ready() {
        return ready;
    }

    List<String> contexts() {
        return List.copyOf(byContext.keySet());
    }

    // ---- artifacts -----------------------------------------------------------------------------------------------

    /** The first pull after a start: five more tries, then the gateway stays empty until the next start. */
    void loadAll() {
        int[] pauses = {15, 30, 60, 120, 240};
        for (int i = 0; ; i++) {
            try {
                waitForTenants();
                pull(null);
                Log.info(STARTUP, "Synapse Artifacts deployed Successfully in the Gateway");
                ready = true;
                return;
            } catch (IOException e) {
                Log.error("org.wso2.carbon.apimgt.gateway.InMemoryAPIDeployer", "Error retrieving artifacts from " + config.internalData() + ": " + e.getMessage());
            } catch (IllegalArgumentException e) {
                Log.error(STARTUP, "Error while loading tenants eagerly: " + e.getMessage());
                return;
            }
            if (i == pauses.length) {
                Log.error(STARTUP, "Maximum retry count exceeded. Error in Deploying APIs to gateway");
                return;
            }
            Node.sleep(pauses[i] * 1000L);
        }
    }

    /** Tenants that are to be loaded eagerly have to exist and be active. */
    private void waitForTenants() throws IOException {
        String eager = config.toml.text("tenant_mgt.eager_loading_tenants", "");
        if (eager.isBlank()) {
            return;
        }
        List<?> known = (List<?>) get("/tenants").get("list");
        for (String t : eager.split(",")) {
            String name = t.trim();
            if (name.equals("!*")) {
                throw new IllegalArgumentException("invalid value !*");
            }
            if (!name.equals("*") && !name.startsWith("!") && !name.equals("carbon.super") && !known.contains(name)) {
                throw new IOException("tenant " + name + " is unknown or not active");
            }
        }
    }

    @SuppressWarnings("unchecked")
    private void pull(String apiId) throws IOException {
        String labels = String.join("%2C", config.gatewayLabels());
        List<Object> list = (List<Object>) get("/runtime-artifacts?gatewayLabel=" + labels + (apiId == null ? "" : "&apiId=" + apiId)).get("list");
        if (apiId == null) {
            byContext.clear();
        }
        for (Object o : list) {
            Map<String, Object> api = (Map<String, Object>) o;
            byContext.put((String) api.get("context"), api);
            Log.info("org.wso2.carbon.apimgt.gateway.service.APIGatewayAdmin", "API " + api.get("name") + " " + api.get("version")
                    + " is deployed at " + api.get("context"));
        }
    }

    private Map<String, Object> get(String path) throws IOException {
        String[] login = config.login("event_hub");
        Http.Answer a = Http.call("GET", config.internalData() + path, Map.of("Authorization", Http.basic(login[0], login[1])), null, trust, 30_000);
        Map<String, Object> body = a.status == 200 ? Json.object(a.text()) : null;
        if (body == null) {
            throw new IOException("HTTP status " + a.status + " for " + path);
        }
        return body;
    }

    /** A notification from the broker. The pull waits a little, so that the other side has finished writing. */
    void notified(String text) {
        Map<String, Object> event = Json.object(text);
        if (event == null) {
            return;
        }
        if ("REMOVE_API_FROM_GATEWAY".equals(event.get("type"))) {
            byContext.values().removeIf(api -> event.get("apiId").equals(api.get("id")));
            return;
        }
        Node.daemon("artifact-pull", () -> {
            Node.sleep(config.toml.number("apim.sync_runtime_artifacts.gateway.event_waiting_time", 5000));
            try {
                pull((String) event.get("apiId"));
            } catch (IOException e) {
                Log.error("org.wso2.carbon.apimgt.gateway.InMemoryAPIDeployer", "Error retrieving artifacts for " + event.get("apiId") + ": " + e.getMessage());
            }
        });
    }

    /** After a lost broker connection: changes made meanwhile are picked up. */
    void refresh() {
        try {
            pull(null);
        } catch (IOException e) {
            Log.error(STARTUP, "Error while redeploying APIs after the reconnection: " + e.getMessage());
        }
    }

    // ---- traffic -------------------------------------------------------------------------------------------------

    void serve(Call call) throws Exception {
        if (call.path().equals("/health-check")) {
            call.send(ready ? 200 : 500, null, new byte[0]);
            return;
        }
        Map<String, Object> api = null;
        String context = "";
        for (Map.Entry<String, Map<String, Object>> e : byContext.entrySet()) {
            String c = e.getKey();
            if ((call.path().equals(c) || call.path().startsWith(c + "/")) && c.length() > context.length()) {
                context = c;
                api = e.getValue();
            }
        }
        if (api == null) {
            fault(call, 404, "404", "Not Found", "The requested resource is not available.");
            return;
        }
        Node.sleep(Long.parseLong(call.query("delay_ms", "0")));
        String resource = call.path().substring(context.length());
        if (api.get("backend") != null) {
            forward(call, (String) api.get("backend"), resource);
        } else if (resource.startsWith("/menu") && context.equals("/pizzashack/1.0.0")) {
            call.json(200, List.of(Json.map("name", "BBQ Chicken Bacon", "price", "24.99"), Json.map("name", "Garden Fresh", "price", "8.99")));
        } else {
            call.json(200, Json.map("standIn", true, "api", api.get("name"), "version", api.get("version"), "resource", resource,
                    "method", call.method(), "node", Node.name()));
        }
    }

    private void forward(Call call, String backend, String resource) throws IOException {
        String url = backend.replaceAll("/$", "") + resource + (call.rawQuery() == null ? "" : "?" + call.rawQuery());
        Map<String, String> headers = new LinkedHashMap<>();
        call.headers().forEach((k, v) -> {
            if (!k.matches("(?i)host|connection|content-length|transfer-encoding|expect|upgrade|authorization")) {
                headers.put(k, v.get(0));
            }
        });
        try {
            Http.Answer a = Http.call(call.method(), url, headers, call.body(), trust, 60_000);
            a.headers.forEach((k, v) -> {
                if (k.equalsIgnoreCase("X-Node")) {
                    call.set("X-Backend-Node", v);
                } else if (!k.matches("(?i)connection|content-length|transfer-encoding|date")) {
                    call.set(k, v);
                }
            });
            call.send(a.status, null, a.body);
        } catch (IOException e) {
            Log.warn("org.apache.synapse.endpoints.EndpointContext", "Endpoint " + url + " : " + e.getMessage());
            fault(call, 503, "101503", "Runtime Error", "Error connecting to the back end");
        }
    }

    private static void fault(Call call, int status, String code, String message, String description) throws IOException {
        call.json(status, Json.map("code", code, "type", "Status report", "message", message, "description", description));
    }
}
