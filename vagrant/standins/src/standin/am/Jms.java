package standin.am;

import java.io.IOException;
import java.net.URI;
import java.util.List;
import java.util.function.BiConsumer;
import standin.base.Lines;
import standin.base.Log;
import standin.base.Node;

/** The client side of brokers: a listener that stays connected to one broker of its list, and a publisher without retry. */
final class Jms {
    static final String DECISIONS = "throttleData";
    static final String TOPICS = "notification,keyManager,tokenRevocation,cacheInvalidation,asyncWebhooksData,throttleData";

    private Jms() {
    }

    private static Lines open(String url, String[] login) throws IOException {
        if (!url.startsWith("tcp://")) {
            throw new IOException("Unknown transport in broker URL " + url);
        }
        URI u = URI.create(url);
        Lines l = Lines.connect(u.getHost(), u.getPort(), null, 30_000);
        String answer = l.ask("LOGIN " + login[0] + " " + login[1]);
        if (!answer.equals("OK")) {
            l.close();
            throw new IOException("Error creating connection: not allowed, user " + login[0] + ": " + answer);
        }
        return l;
    }

    static final class Listener {
        private static final String LOGGER = "org.wso2.carbon.apimgt.common.jms.JMSTaskManager";

        private final String topics;
        private final List<String> urls;
        private final String[] login;
        private final BiConsumer<String, String> messages;
        private final Runnable reconnected;
        private volatile String connectedTo;

        Listener(String topics, List<String> urls, String[] login, BiConsumer<String, String> messages, Runnable reconnected) {
            this.topics = topics;
            this.urls = urls;
            this.login = login;
            this.messages = messages;
            this.reconnected = reconnected;
            Node.daemon("jms-listener", this::keepListening);
        }

        String connectedTo() {
            return connectedTo;
        }

        /** Starts again after 10 s, doubling up to 30 s (the product goes up to an hour). */
        private void keepListening() {
            int wait = 10;
            boolean missed = false;
            while (true) {
                for (String url : urls) {
                    try (Lines l = open(url, login)) {
                        if (!l.ask("SUB " + topics).equals("OK")) {
                            throw new IOException("subscription refused");
                        }
                        connectedTo = url;
                        for (String topic : topics.split(",")) {
                            Log.info("org.wso2.carbon.apimgt.common.jms.JMSListener", "Started to listen on destination : " + topic + " of type topic for listener on " + url);
                        }
                        wait = 10;
                        if (missed) {
                            reconnected.run();
                        }
                        listen(l);
                        Log.warn(LOGGER, "Connection to the broker " + url + " is lost");
                    } catch (IOException | IllegalArgumentException e) {
                        Log.error(LOGGER, "Error while connecting to the JMS provider " + url + ": " + e.getMessage());
                    }
                    connectedTo = null;
                    missed = true;
                }
                Log.info(LOGGER, "Reconnection attempt to the JMS provider in " + wait + " seconds");
                Node.sleep(wait * 1000L);
                wait = Math.min(wait * 2, 30);
            }
        }

        private void listen(Lines l) throws IOException {
            Thread pinger = Node.daemon("jms-ping", () -> {
                try {
                    while (true) {
                        Thread.sleep(10_000);
                        l.write("PING");
                    }
                } catch (IOException | InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            });
            try {
                for (String line = l.read(); line != null; line = l.read()) {
                    String[] word = line.split(" ", 3);
                    if (word[0].equals("MSG") && word.length == 3) {
                        messages.accept(word[1], word[2]);
                    }
                }
            } finally {
                pinger.interrupt();
            }
        }
    }

    /** Publishes to the first broker of its list that answers. What cannot be sent is lost. */
    static final class Publisher {
        private final List<String> urls;
        private final String[] login;

        Publisher(List<String> urls, String[] login) {
            this.urls = urls;
            this.login = login;
        }

        synchronized void publish(String topic, String text) {
            String why = "no URL";
            for (String url : urls) {
                try (Lines l = open(url, login)) {
                    if (l.ask("PUB " + topic + " " + text).equals("OK")) {
                        return;
                    }
                } catch (IOException | IllegalArgumentException e) {
                    why = e.getMessage();
                }
            }
            Log.error("org.wso2.carbon.event.output.adapter.jms.JMSEventAdapter", "Event of topic " + topic + " dropped, broker "
                    + urls + " not available: " + why);
        }
    }
}
