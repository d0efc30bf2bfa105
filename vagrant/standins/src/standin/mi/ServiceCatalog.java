package standin.mi;

import java.util.LinkedHashMap;
import java.util.Map;
import javax.net.ssl.SSLContext;
import standin.base.Services;
import standin.base.Tree;

/** Publishes the services of an application to API-M when the application is deployed, and only then; removes none. */
final class ServiceCatalog {
    private static final String LOGGER = "org.wso2.micro.integrator.initializer.serviceCatalog.ServiceCatalogDeployer";

    private final Services services;
    private final String host;
    private final int port;

    /** Only the first [[service_catalog]] block counts. */
    ServiceCatalog(Tree config, SSLContext trust, String host, int port) {
        this.services = new Services(LOGGER, config.text("apim_host", "https://localhost:9443").replaceAll("/$", ""), config.text("username", ""),
                config.text("password", ""), trust);
        this.host = host;
        this.port = port;
    }

    void publish(CarbonApp app) {
        Map<String, String> definitions = new LinkedHashMap<>();
        for (CarbonApp.Artifact a : app.of("synapse/metadata")) {
            definitions.put(a.name.replace("_swagger", ""), a.content);
        }
        Map<String, Services.Service> found = new LinkedHashMap<>();
        for (CarbonApp.Artifact a : app.of("synapse/metadata")) {
            if (a.name.endsWith("_metadata")) {
                String name = a.name.replace("_metadata", ""), metadata = filled(a.content);
                found.put(name, new Services.Service(value(metadata, "key"), metadata, definitions.getOrDefault(name, "")));
            }
        }
        if (!found.isEmpty() && !app.answers.isEmpty()) {
            services.publish(found);
        }
    }

    private String filled(String metadata) {
        String h = env("MI_HOST", host), p = env("MI_PORT", String.valueOf(port));
        return metadata.replace("{MI_HOST}", h).replace("{MI_PORT}", p).replace("{MI_URL}", env("MI_URL", "https://" + h + ":" + p))
                .replace("{MI_GROUP_ID}", env("MI_GROUP_ID", ""));
    }

    private static String env(String name, String otherwise) {
        String v = System.getenv(name);
        return v == null || v.isEmpty() ? otherwise : v;
    }

    private static String value(String metadata, String key) {
        for (String line : metadata.split("\n")) {
            if (line.startsWith(key + ":")) {
                return line.substring(key.length() + 1).trim().replace("\"", "");
            }
        }
        return "";
    }
}
