package standin.am;

import java.io.IOException;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import standin.base.Lines;
import standin.base.Log;

/** The topic broker on 5672: lines instead of AMQP, the same logins and topics. */
final class Broker {
    private static final String LOGGER = "org.wso2.andes.server.Broker";

    private final Logins logins;
    private final Map<Lines, Set<String>> subscribers = new ConcurrentHashMap<>();

    Broker(int port, Logins logins) throws IOException {
        this.logins = logins;
        Lines.listen(null, port, null, this::serve);
        Log.info(LOGGER, "Qpid Broker Ready. Listening on TCP port " + port + " (stand-in: line protocol)");
    }

    private void serve(Lines peer) throws IOException {
        boolean in = false;
        try {
            for (String line = peer.read(); line != null; line = peer.read()) {
                String[] word = line.split(" ", 3);
                if (word[0].equals("LOGIN") && word.length == 3) {
                    in = logins.valid(word[1], word[2]);
                    peer.write(in ? "OK" : "401 login failed");
                    if (!in) {
                        Log.error("org.wso2.carbon.andes.authentication.andes.CarbonBasedPrincipalDatabase",
                                "User " + word[1] + " could not be authenticated at the broker");
                        return;
                    }
                } else if (!in) {
                    peer.write("401 login first");
                    return;
                } else if (word[0].equals("SUB")) {
                    subscribers.computeIfAbsent(peer, p -> ConcurrentHashMap.newKeySet()).addAll(new LinkedHashSet<>(Set.of(word[1].split(","))));
                    peer.write("OK");
                } else if (word[0].equals("PUB") && word.length == 3) {
                    peer.write("OK");
                    spread(word[1], word[2]);
                } else {
                    peer.write("PONG");
                }
            }
        } finally {
            subscribers.remove(peer);
        }
    }

    private void spread(String topic, String text) {
        subscribers.forEach((peer, topics) -> {
            if (topics.contains(topic)) {
                try {
                    peer.write("MSG " + topic + " " + text);
                } catch (IOException e) {
                    subscribers.remove(peer);
                }
            }
        });
    }

    int subscriberCount() {
        return subscribers.size();
    }
}
