package standin.mi;

import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import standin.base.Json;
import standin.base.Log;
import standin.base.Node;

/** The carbonapps folder: deploys what is there at boot and, with hot deployment on, what comes and goes later. */
final class Deployment {
    /** Called for every application that was deployed. */
    interface Deployed {
        void app(CarbonApp app);
    }

    private static final String LOGGER = "org.wso2.micro.integrator.initializer.deployment.application.deployer.CappDeployer";
    private static final long SCAN_MILLIS = 15_000;

    private final File folder = Node.file("repository/deployment/server/carbonapps");
    private final Map<String, CarbonApp> active = new TreeMap<>();
    private final Map<String, String> faulty = new TreeMap<>();
    private final Map<String, Long> seen = new LinkedHashMap<>();
    private final Deployed deployed;

    Deployment(Deployed deployed) {
        this.deployed = deployed;
    }

    synchronized void scan() {
        File[] found = folder.listFiles((d, n) -> n.endsWith(".car"));
        List<File> files = found == null ? List.of() : Arrays.asList(found);
        List<String> gone = new ArrayList<>(seen.keySet());
        files.forEach(f -> gone.remove(f.getName()));
        for (String name : gone) {
            undeploy(name);
        }
        files.stream().sorted().forEach(f -> {
            if (!Long.valueOf(f.lastModified()).equals(seen.get(f.getName()))) {
                undeploy(f.getName());
                deploy(f);
            }
        });
    }

    void keepScanning() {
        Node.daemon("hot-deployment", () -> {
            while (true) {
                Node.sleep(SCAN_MILLIS);
                scan();
            }
        });
    }

    private void undeploy(String file) {
        seen.remove(file);
        faulty.remove(file);
        CarbonApp app = active.remove(file);
        if (app != null) {
            Log.info(LOGGER, "Undeploying Carbon Application : " + app.name + "...");
        }
    }

    private void deploy(File file) {
        seen.put(file.getName(), file.lastModified());
        try {
            CarbonApp app = CarbonApp.read(file);
            Log.info(LOGGER, "Deploying Carbon Application : " + file.getName() + "...");
            for (CarbonApp other : active.values()) {
                if (other.name.equals(app.name) && other.version.equals(app.version)) {
                    Log.error(LOGGER, "Carbon Application : " + app.name + " already exists. Two applications can't have the same Id. Deployment aborted.");
                    return;
                }
                for (CarbonApp.Artifact a : app.artifacts) {
                    if (other.artifacts.stream().anyMatch(b -> b.name.equals(a.name))) {
                        throw new CarbonApp.Faulty(app.name, "artifact " + a.name + " is already deployed by " + other.name + " " + other.version);
                    }
                }
            }
            active.put(file.getName(), app);
            Log.info(LOGGER, "Successfully Deployed Carbon Application : " + app.name + "_" + app.version + "{super-tenant}");
            deployed.app(app);
        } catch (CarbonApp.Faulty e) {
            faulty.put(file.getName(), e.app);
            Log.error(LOGGER, "Error occurred while deploying Carbon application " + e.app + ": " + e.getMessage());
        }
    }

    synchronized List<CarbonApp> active() {
        return new ArrayList<>(active.values());
    }

    synchronized List<String> faulty() {
        return new ArrayList<>(faulty.values());
    }

    /** The body of the API or proxy that serves the path, or null. */
    synchronized String answer(String path) {
        String best = null, body = null;
        for (CarbonApp app : active.values()) {
            for (Map.Entry<String, String> e : app.answers.entrySet()) {
                String c = e.getKey();
                if ((path.equals(c) || path.startsWith(c + "/")) && (best == null || c.length() > best.length())) {
                    best = c;
                    body = e.getValue();
                }
            }
        }
        return body;
    }

    synchronized Map<String, Object> shown() {
        List<Object> list = new ArrayList<>();
        for (CarbonApp app : active.values()) {
            List<Object> artifacts = new ArrayList<>();
            app.artifacts.forEach(a -> artifacts.add(Json.map("name", a.name, "type", a.type.replaceFirst("^synapse/", ""))));
            list.add(Json.map("name", app.name, "version", app.version, "artifacts", artifacts));
        }
        List<Object> bad = new ArrayList<>();
        faulty.values().forEach(n -> bad.add(Json.map("name", n, "version", "")));
        return Json.map("totalCount", list.size() + bad.size(), "activeCount", list.size(), "faultyCount", bad.size(), "activeList", list, "faultyList", bad);
    }
}
