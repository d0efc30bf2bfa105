package standin.am;

import java.io.IOException;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import javax.net.ssl.SSLContext;
import standin.base.Json;
import standin.base.Lines;
import standin.base.Log;
import standin.base.Node;

/** Sends every event to every url group; a group spreads over its receivers or fails over between them. */
final class DataPublisher {
    private static final String LOGGER = "org.wso2.carbon.databridge.agent.endpoint.DataEndpointConnectionWorker";

    private final List<List<Endpoint>> groups = new ArrayList<>();
    private final List<Boolean> spread = new ArrayList<>();
    private int turn;

    DataPublisher(List<AmConfig.UrlGroup> urlGroups, String[] login, SSLContext trust) {
        for (AmConfig.UrlGroup g : urlGroups) {
            List<Endpoint> endpoints = new ArrayList<>();
            for (int i = 0; i < g.receivers.size(); i++) {
                String auth = i < g.logins.size() ? g.logins.get(i) : null;
                endpoints.add(new Endpoint(g.receivers.get(i), auth, login, trust));
            }
            if (endpoints.isEmpty()) {
                Log.error(LOGGER, "A url group has no receiver URL; its events go nowhere");
            }
            groups.add(endpoints);
            spread.add(g.spread);
        }
    }

    void publish(String stream, String text) {
        int first = turn++;
        for (int g = 0; g < groups.size(); g++) {
            List<Endpoint> group = groups.get(g);
            boolean sent = false;
            for (int i = 0; i < group.size() && !sent; i++) {
                sent = group.get(spread.get(g) ? Math.floorMod(first + i, group.size()) : i).send(stream, text);
            }
            if (!sent) {
                Log.error("org.wso2.carbon.databridge.agent.DataPublisher", "No receiver of group " + (g + 1) + " is reachable, event of stream "
                        + stream + " dropped");
            }
        }
    }

    List<Map<String, Object>> state() {
        List<Map<String, Object>> out = new ArrayList<>();
        for (List<Endpoint> group : groups) {
            for (Endpoint e : group) {
                out.add(Json.map("url", e.url, "connected", e.line != null));
            }
        }
        return out;
    }

    /** One receiver: keeps itself connected, 10 s after a failure and up to 30 s later. */
    private static final class Endpoint {
        final String url;
        private final String authUrl;
        private final String[] login;
        private final SSLContext trust;
        volatile Lines line;

        Endpoint(String url, String authUrl, String[] login, SSLContext trust) {
            this.url = url;
            this.authUrl = authUrl;
            this.login = login;
            this.trust = trust;
            Node.daemon("databridge-agent", this::keepConnected);
        }

        private void keepConnected() {
            int wait = 10;
            while (true) {
                try {
                    connect();
                    Log.info(LOGGER, "Connected to the data receiver " + url);
                    wait = 10;
                    while (line != null) {
                        Node.sleep(5000);
                        exchange("PING");
                    }
                } catch (IOException | IllegalArgumentException e) {
                    line = null;
                    Log.error(LOGGER, "Error while trying to connect to the endpoint. Cannot borrow client for " + authUrl + ". " + e.getMessage());
                }
                Node.sleep(wait * 1000L);
                wait = Math.min(wait * 2, 30);
            }
        }

        private void connect() throws IOException {
            URI auth = parse(authUrl, "ssl");
            URI data = parse(url, "tcp");
            String answer;
            try (Lines l = Lines.connect(auth.getHost(), auth.getPort(), trust, 10_000)) {
                answer = l.ask("LOGIN " + login[0] + " " + login[1]);
            }
            if (!answer.startsWith("SESSION ")) {
                throw new IOException("Error while authenticating user " + login[0] + ": " + answer);
            }
            Lines l = Lines.connect(data.getHost(), data.getPort(), null, 10_000);
            String opened = l.ask(answer);
            if (!opened.equals("OK")) {
                l.close();
                throw new IOException("The receiver refused the session: " + opened);
            }
            line = l;
        }

        private static URI parse(String url, String scheme) {
            if (url == null || !url.startsWith(scheme + "://")) {
                throw new IllegalArgumentException("Invalid URL " + url + ", " + scheme + "://host:port was expected");
            }
            return URI.create(url);
        }

        boolean send(String stream, String text) {
            return exchange("EVENT " + stream + " " + text);
        }

        private synchronized boolean exchange(String text) {
            Lines l = line;
            if (l == null) {
                return false;
            }
            try {
                l.ask(text);
                return true;
            } catch (IOException e) {
                line = null;
                Log.warn(LOGGER, "Connection to the data receiver " + url + " is lost: " + e.getMessage());
                return false;
            }
        }
    }
}
