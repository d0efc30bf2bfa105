package standin.si;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import standin.base.Json;
import standin.base.Log;
import standin.base.Node;
import standin.base.Services;
import standin.base.Web;

/** The siddhi-files folder; the sources of its applications are open on the active node only. */
final class Apps {
    private static final String LOGGER = "org.wso2.carbon.streaming.integrator.core.internal.StreamProcessorDeployer";

    final File folder = Node.file("wso2/server/deployment/siddhi-files");
    private final Map<String, SiddhiApp> deployed = new TreeMap<>();
    private final Map<String, String> failed = new TreeMap<>();
    private final Map<String, Long> seen = new LinkedHashMap<>();
    private final Map<String, List<Web>> open = new LinkedHashMap<>();
    private final Consumer<SiddhiApp> onEvent;
    private Services catalog;
    private boolean active;

    /** From here on, applications that describe a service are told to the catalog, and so is their end, on either node. */
    void publishTo(Services catalog) {
        this.catalog = catalog;
    }

    Apps(Consumer<SiddhiApp> onEvent) {
        this.onEvent = onEvent;
    }

    synchronized void scan() {
        Map<String, File> found = new TreeMap<>();
        File[] files = folder.listFiles((d, n) -> n.endsWith(".siddhi"));
        for (File f : files == null ? new File[0] : files) {
            found.put(f.getName(), f);
        }
        for (String name : new ArrayList<>(seen.keySet())) {
            if (!found.containsKey(name) || !seen.get(name).equals(found.get(name).lastModified())) {
                undeploy(name);
            }
        }
        found.forEach((name, file) -> {
            if (!seen.containsKey(name)) {
                deploy(name, file);
            }
        });
    }

    private void undeploy(String file) {
        seen.remove(file);
        failed.remove(file);
        SiddhiApp app = deployed.remove(file);
        if (app != null) {
            close(file);
            Log.info(LOGGER, "Siddhi App " + app.name + " undeployed successfully");
            if (catalog != null && app.serviceKey() != null) {
                catalog.withdraw(app.serviceKey());
            }
        }
    }

    private void deploy(String name, File file) {
        seen.put(name, file.lastModified());
        try {
            SiddhiApp app = SiddhiApp.read(file);
            deployed.put(name, app);
            if (active) {
                openSources(name, app);
            }
            Log.info(LOGGER, "Siddhi App " + app.name + " deployed successfully");
            if (catalog != null && app.serviceKey() != null) {
                catalog.publish(Map.of(app.name, app.service()));
            }
        } catch (IOException e) {
            deployed.remove(name);
            failed.put(name, e.getMessage());
            Log.error(LOGGER, "Error while deploying Siddhi app " + name + ": " + e.getMessage());
        }
    }

    private void openSources(String file, SiddhiApp app) throws IOException {
        List<Web> mine = new ArrayList<>();
        open.put(file, mine);
        for (Map.Entry<Integer, String> s : app.sources.entrySet()) {
            try {
                mine.add(Web.listen(null, s.getKey(), null, 8, call -> {
                    if (!call.path().equals(s.getValue())) {
                        call.text(404, "");
                        return;
                    }
                    call.body();
                    app.events.incrementAndGet();
                    onEvent.accept(app);
                    call.set("X-Events", String.valueOf(app.events.get())).json(200, Json.map("standIn", true, "app", app.name, "events", app.events.get()));
                }));
            } catch (IOException e) {
                close(file);
                throw new IOException("source port " + s.getKey() + ": " + e.getMessage(), e);
            }
        }
    }

    private void close(String file) {
        List<Web> mine = open.remove(file);
        if (mine != null) {
            mine.forEach(Web::close);
        }
    }

    synchronized void activate(boolean on) {
        active = on;
        for (Map.Entry<String, SiddhiApp> e : new ArrayList<>(deployed.entrySet())) {
            if (!on) {
                close(e.getKey());
            } else if (!open.containsKey(e.getKey())) {
                try {
                    openSources(e.getKey(), e.getValue());
                } catch (IOException x) {
                    deployed.remove(e.getKey());
                    failed.put(e.getKey(), x.getMessage());
                    Log.error(LOGGER, "Error while starting Siddhi app " + e.getValue().name + ": " + x.getMessage());
                }
            }
        }
    }

    synchronized List<SiddhiApp> all() {
        return new ArrayList<>(deployed.values());
    }

    synchronized SiddhiApp named(String name) {
        return deployed.get(name + ".siddhi");
    }

    synchronized List<String> failed() {
        List<String> out = new ArrayList<>();
        failed.keySet().forEach(f -> out.add(f.replaceAll("\\.siddhi$", "")));
        return out;
    }
}
