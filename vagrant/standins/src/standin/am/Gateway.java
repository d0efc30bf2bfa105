package standin.am;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import javax.net.ssl.SSLContext;
import standin.base.Call;
import standin.base.Fault;
import standin.base.Http;
import standin.base.Json;
import standin.base.Log;
import standin.base.Node;

/** The API gateway: pulls deployed APIs from the control plane, answers or forwards calls to them. */
final class Gateway {
    private static final String STARTUP = "org.wso2.carbon.apimgt.gateway.listeners.GatewayStartupListener";

    private static final String FETCH = "org.wso2.carbon.apimgt.impl.utils.APIUtil";
    private static final int[] RETRY_SECONDS = {15, 30, 60, 120, 240};

    private final AmConfig config;
    private final SSLContext trust;
    private final Tenants tenants;
    private final Map<String, Map<String, Object>> byContext = new ConcurrentHashMap<>();
    /** All that the control plane told of, deployed or not. */
    private final Map<String, Map<String, Object>> heard = new ConcurrentHashMap<>();
    private final Set<String> revoked = ConcurrentHashMap.newKeySet();
    private volatile boolean loaded;

    Gateway(AmConfig config, SSLContext trust, Tenants tenants) {
        this.config = config;
        this.trust = trust;
        this.tenants = tenants;
    }

    /** APIs are in, and the tenants that are to be loaded eagerly are there. */
    boolean ready() {
        return loaded && tenants.eagerOnesAreThere() && !Fault.turnedBad();
    }

    List<String> contexts() {
        return List.copyOf(byContext.keySet());
    }

    /** Name, version and context of the APIs of a tenant that it has heard of. */
    List<Map<String, Object>> heardOf(String domain) {
        return heard.values().stream().filter(a -> domain.equals(String.valueOf(a.get("organization"))))
                .map(a -> Json.map("name", a.get("name"), "version", a.get("version"), "context", a.get("context")))
                .collect(java.util.stream.Collectors.toList());
    }

    boolean has(String domain, String name, String version) {
        return byContext.values().stream().anyMatch(a -> domain.equals(String.valueOf(a.get("organization"))) && a.get("name").equals(name)
                && a.get("version").equals(version));
    }

    // ---- artifacts -----------------------------------------------------------------------------------------------

    /** The first pull after a start. When its tries are used up, the gateway stays empty until the next start. */
    void loadAll() {
        if (!config.pullsArtifacts()) {
            return;
        }
        try {
            String wanted = config.loadedTenants();
            if (wanted != null) {
                tenants.load(wanted, (List<?>) fetchAgainAndAgain("/tenants").get("list"));
            }
            deploy((List<?>) fetchAgainAndAgain(artifacts(null)).get("list"), true);
            ((List<?>) fetch("/revokedjwt").get("list")).forEach(t -> revoked.add(String.valueOf(t)));
            Log.info(STARTUP, "Synapse Artifacts deployed Successfully in the Gateway");
            loaded = tenants.checkEagerOnes();
        } catch (IOException e) {
            Log.error(STARTUP, config.loadedTenants() != null && !tenants.loaded() ? "Failed to load tenants during gateway startup"
                    : "Error in Deploying APIs to gateway", e);
        }
    }

    private String artifacts(String apiId) {
        return "/runtime-artifacts?gatewayLabel=" + String.join("%2C", config.gatewayLabels()) + (apiId == null ? "" : "&apiId=" + apiId);
    }

    @SuppressWarnings("unchecked")
    private void deploy(List<?> artifacts, boolean all) {
        Map<String, Map<String, Object>> before = Map.copyOf(byContext);
        for (Object o : artifacts) {
            Map<String, Object> api = (Map<String, Object>) o;
            String domain = String.valueOf(api.get("organization"));
            if (tenants.active(domain) == null) {
                Log.error("org.wso2.carbon.apimgt.gateway.InMemoryAPIDeployer", "Error while deploying API " + api.get("name") + " of tenant " + domain
                        + ": java.lang.IllegalStateException: Tenant ID cannot be -1");
                continue;
            }
            heard.put((String) api.get("context"), api);
            if (Fault.LOSES_APIS.here() && !byContext.isEmpty()) {
                continue;
            }
            byContext.put((String) api.get("context"), api);
            if (all && api.equals(before.get((String) api.get("context")))) {
                continue;
            }
            Log.info("org.wso2.carbon.apimgt.gateway.service.APIGatewayAdmin", "API " + api.get("name") + " " + api.get("version")
                    + " is deployed at " + api.get("context"));
        }
        if (all) {
            byContext.values().retainAll(artifacts);
            heard.values().retainAll(artifacts);
        }
    }

    private Map<String, Object> fetchAgainAndAgain(String path) throws IOException {
        String shown = "/internal/data/v1" + path.replaceAll("[?].*", "");
        for (int tries = 0; ; tries++) {
            try {
                Map<String, Object> answer = fetch(path);
                if (tries > 0) {
                    Log.info(FETCH, "Successfully retrieved " + shown);
                }
                return answer;
            } catch (IOException e) {
                if (tries == RETRY_SECONDS.length) {
                    Log.error(FETCH, "Failed to retrieve " + shown + " from remote endpoint. Maximum retry count exceeded." + e.getMessage());
                    throw e;
                }
                Log.error(FETCH, "Failed to retrieve " + shown + " from remote endpoint: " + e.getMessage() + ". Retry attempt " + (tries + 1) + " in "
                        + RETRY_SECONDS[tries] + " seconds.");
                Node.pauseBeforeRetry(RETRY_SECONDS[tries] * 1000L);
            }
        }
    }

    private Map<String, Object> fetch(String path) throws IOException {
        String[] login = config.login("event_hub");
        Http.Answer a = Http.call("GET", config.internalData() + path, Map.of("Authorization", Http.basic(login[0], login[1])), null, trust, 30_000);
        Map<String, Object> body = a.status == 200 ? Json.object(a.text()) : null;
        if (body == null) {
            throw new IOException("Error while retrieving /internal/data/v1" + path.replaceAll("[?].*", "") + ". Received response with status code "
                    + a.status);
        }
        return body;
    }

    /** A notification from the broker. The pull waits a little, so that the other side has finished writing. */
    void notified(String text) {
        Map<String, Object> event = Json.object(text);
        if (event == null || !config.pullsArtifacts()) {
            return;
        }
        if ("REMOVE_API_FROM_GATEWAY".equals(event.get("type"))) {
            byContext.values().removeIf(api -> event.get("apiId").equals(api.get("id")));
            heard.values().removeIf(api -> event.get("apiId").equals(api.get("id")));
            return;
        }
        boolean tenant = "TENANT".equals(event.get("type"));
        Node.daemon("artifact-pull", () -> {
            Node.sleep(config.toml.number("apim.sync_runtime_artifacts.gateway.event_waiting_time", 5000));
            try {
                if (tenant && config.loadedTenants() != null) {
                    tenants.load(config.loadedTenants(), (List<?>) fetch("/tenants").get("list"));
                } else if (!tenant) {
                    deploy((List<?>) fetch(artifacts((String) event.get("apiId"))).get("list"), false);
                }
            } catch (IOException e) {
                Log.error("org.wso2.carbon.apimgt.gateway.InMemoryAPIDeployer", "Error retrieving artifacts after an event: " + e.getMessage());
            }
        });
    }

    void revoked(String text) {
        Map<String, Object> event = Json.object(text);
        if (event != null && event.get("token") != null) {
            revoked.add(String.valueOf(event.get("token")));
        }
    }

    /** After a lost broker connection: changes made meanwhile are picked up. A gateway that has given up stays empty. */
    void refresh() {
        if (!loaded) {
            return;
        }
        try {
            deploy((List<?>) fetch(artifacts(null)).get("list"), true);
            Log.info(STARTUP, "APIs were redeployed after the reconnection to the event hub");
        } catch (IOException e) {
            Log.error(STARTUP, "Error while redeploying APIs after the reconnection: " + e.getMessage());
        }
    }

    // ---- traffic -------------------------------------------------------------------------------------------------

    void serve(Call call) throws Exception {
        if (Fault.spoils(call)) {
            return;
        }
        if (call.path().equals("/health-check")) {
            call.send(ready() ? 200 : 500, null, new byte[0]);
            return;
        }
        Map<String, Object> api = route(call);
        if (api == null) {
            return;
        }
        String context = (String) api.get("context");
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

    /** Whether a WebSocket may be opened there; what a call would be refused for, it is too. */
    boolean admits(Call call) throws Exception {
        if (Fault.spoils(call)) {
            return false;
        }
        if (!ready()) {
            fault(call, 503, "303001", "Runtime Error", "The gateway is not ready");
            return false;
        }
        return call.path().equals("/health-check") || route(call) != null;
    }

    /** The API that is called; null when the call was refused. */
    private Map<String, Object> route(Call call) throws Exception {
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
            return null;
        }
        String domain = String.valueOf(api.get("organization"));
        if (!Boolean.TRUE.equals(tenants.active(domain))) {
            fault(call, 403, "900900", "Unclassified Authentication Failure", "Trying to access inactive tenant domain : " + domain);
            return null;
        }
        if (call.bearer() != null && revoked.contains(call.bearer())) {
            fault(call, 401, "900901", "Invalid Credentials", "Access failure for API: " + context + ": the token is revoked");
            return null;
        }
        return api;
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
