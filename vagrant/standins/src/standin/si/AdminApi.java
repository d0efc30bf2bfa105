package standin.si;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import standin.base.Call;
import standin.base.Json;
import standin.base.Node;
import standin.base.Tree;

/** Health, statistics and the Siddhi app API on 9090 and 9443; open on both nodes of a pair. */
final class AdminApi {
    private final Tree yaml;
    private final Apps apps;
    private final StateStore store;
    private final Supplier<Map<String, Object>> statistics;

    AdminApi(Tree yaml, Apps apps, StateStore store, Supplier<Map<String, Object>> statistics) {
        this.yaml = yaml;
        this.apps = apps;
        this.store = store;
        this.statistics = statistics;
    }

    void serve(Call call) throws IOException {
        if (call.path().equals("/health")) {
            call.json(200, Json.map("status", "healthy"));
        } else if (!authenticated(call)) {
            call.set("WWW-Authenticate", "Basic").json(401, Json.map("code", 401, "message", "Unauthorized"));
        } else if (call.path().equals("/statistics")) {
            call.json(200, statistics.get());
        } else if (call.path().equals("/system-details")) {
            call.json(200, Json.map("standIn", true, "node", Node.name(), "version", Node.version(), "java", System.getProperty("java.version")));
        } else if (call.path().startsWith("/siddhi-apps")) {
            siddhiApps(call, call.path().substring("/siddhi-apps".length()).split("/"));
        } else {
            call.text(404, "");
        }
    }

    private boolean authenticated(Call call) {
        String[] basic = call.basic();
        if (basic == null) {
            return false;
        }
        List<Tree> users = yaml.tables("auth.configs.userManager.userStore.users");
        for (Tree u : users) {
            String password = new String(Base64.getDecoder().decode(u.text("user.password", "")), StandardCharsets.UTF_8);
            if (basic[0].equals(u.text("user.username", null)) && basic[1].equals(password)) {
                return true;
            }
        }
        return users.isEmpty() && basic[0].equals("admin") && basic[1].equals("admin");
    }

    private void siddhiApps(Call call, String[] part) throws IOException {
        String name = part.length > 1 ? part[1] : "";
        String action = part.length > 2 ? part[2] : "";
        SiddhiApp app = apps.named(name);
        if (name.isEmpty() && call.method().equals("GET")) {
            List<String> names = new ArrayList<>();
            if (!"false".equals(call.query("isActive", null))) {
                apps.all().forEach(a -> names.add(a.name));
            }
            if (!"true".equals(call.query("isActive", null))) {
                names.addAll(apps.failed());
            }
            call.json(200, names);
        } else if (name.isEmpty() && call.method().matches("POST|PUT")) {
            save(call);
        } else if (app == null) {
            call.json(404, Json.map("type", "not found", "message", "There is no Siddhi App exist with provided name : " + name));
        } else if (action.equals("status")) {
            call.json(200, Json.map("status", "active"));
        } else if (action.equals("backup") && call.method().equals("POST") && store != null) {
            call.json(201, Json.map("revision", store.save(app)));
        } else if (action.equals("restore") && call.method().equals("POST") && store != null) {
            store.restore(app);
            call.json(200, Json.map("type", "success"));
        } else if (call.method().equals("DELETE")) {
            Files.delete(new File(apps.folder, name + ".siddhi").toPath());
            apps.scan();
            call.json(200, Json.map("type", "success"));
        } else {
            call.text(404, "");
        }
    }

    private void save(Call call) throws IOException {
        Matcher m = Pattern.compile("@App:name\\s*\\(\\s*['\"]([A-Za-z0-9_.-]+)['\"]", Pattern.CASE_INSENSITIVE).matcher(call.bodyText());
        if (!m.find()) {
            call.json(400, Json.map("type", "validation error", "message", "Siddhi App Name is not provided"));
            return;
        }
        boolean there = apps.named(m.group(1)) != null;
        if (there && call.method().equals("POST")) {
            call.json(409, Json.map("type", "conflict", "message", "There is a Siddhi App already exists with same name"));
            return;
        }
        File temporary = File.createTempFile("app", ".part", apps.folder);
        Files.write(temporary.toPath(), call.body());
        Files.move(temporary.toPath(), new File(apps.folder, m.group(1) + ".siddhi").toPath(), StandardCopyOption.REPLACE_EXISTING);
        apps.scan();
        call.json(there ? 200 : 201, Json.map("type", "success", "message", "Siddhi App saved succesfully"));
    }
}
