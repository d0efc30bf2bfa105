package standin.mi;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Enumeration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** A .car file: what its artifacts.xml names, and what of it the stand-in can run (APIs, proxies, tasks, service metadata). */
final class CarbonApp {
    static final class Artifact {
        final String name;
        final String type;
        final String content;

        Artifact(String name, String type, String content) {
            this.name = name;
            this.type = type;
            this.content = content;
        }
    }

    static final class Faulty extends Exception {
        final String app;

        Faulty(String app, String why) {
            super(why);
            this.app = app;
        }
    }

    final String name;
    final String version;
    final List<Artifact> artifacts = new ArrayList<>();
    /** Context path to the body that is answered there. */
    final Map<String, String> answers = new LinkedHashMap<>();

    private CarbonApp(String name, String version) {
        this.name = name;
        this.version = version;
    }

    static CarbonApp read(File file) throws Faulty {
        String fallback = file.getName().replaceAll("\\.car$", "");
        try (ZipFile zip = new ZipFile(file)) {
            Map<String, String> texts = new LinkedHashMap<>();
            for (Enumeration<? extends ZipEntry> e = zip.entries(); e.hasMoreElements(); ) {
                ZipEntry entry = e.nextElement();
                if (!entry.isDirectory()) {
                    texts.put(entry.getName(), new String(zip.getInputStream(entry).readAllBytes(), StandardCharsets.UTF_8));
                }
            }
            if (!texts.containsKey("artifacts.xml")) {
                throw new Faulty(fallback, "artifacts.xml is missing");
            }
            Element root = (Element) xml(fallback, texts.get("artifacts.xml")).getElementsByTagName("artifact").item(0);
            if (root == null || root.getAttribute("name").isEmpty()) {
                throw new Faulty(fallback, "artifacts.xml names no application");
            }
            CarbonApp app = new CarbonApp(root.getAttribute("name"), root.getAttribute("version"));
            NodeList wanted = root.getElementsByTagName("dependency");
            for (int i = 0; i < wanted.getLength(); i++) {
                Element d = (Element) wanted.item(i);
                app.add(d.getAttribute("artifact"), d.getAttribute("artifact") + "_" + d.getAttribute("version"), texts);
            }
            return app;
        } catch (IOException e) {
            throw new Faulty(fallback, "not a readable archive: " + e.getMessage());
        }
    }

    private void add(String artifact, String folder, Map<String, String> texts) throws Faulty {
        String description = texts.get(folder + "/artifact.xml");
        if (description == null) {
            throw new Faulty(name, "artifact " + artifact + " is missing");
        }
        Element a = xml(name, description).getDocumentElement();
        String file = a.getElementsByTagName("file").item(0).getTextContent().trim();
        String content = texts.get(folder + "/" + file);
        if (content == null) {
            throw new Faulty(name, "file " + folder + "/" + file + " is missing");
        }
        String type = a.getAttribute("type");
        artifacts.add(new Artifact(artifact, type, content));
        if (type.equals("synapse/api") || type.equals("synapse/proxy-service")) {
            Element e = xml(name, content).getDocumentElement();
            NodeList format = e.getElementsByTagName("format");
            String body = format.getLength() == 0 ? "{\"message\": \"ok\"}" : format.item(0).getTextContent().trim();
            answers.put(type.equals("synapse/api") ? e.getAttribute("context") : "/services/" + e.getAttribute("name"), body);
        } else if (type.startsWith("synapse/") && !type.equals("synapse/metadata")) {
            xml(name, content);
        }
    }

    List<Artifact> of(String type) {
        List<Artifact> out = new ArrayList<>();
        for (Artifact a : artifacts) {
            if (a.type.equals(type)) {
                out.add(a);
            }
        }
        return out;
    }

    private static Document xml(String app, String text) throws Faulty {
        try {
            javax.xml.parsers.DocumentBuilder b = DocumentBuilderFactory.newInstance().newDocumentBuilder();
            b.setErrorHandler(null);
            return b.parse(new org.xml.sax.InputSource(new java.io.StringReader(text)));
        } catch (Exception e) {
            throw new Faulty(app, "malformed XML: " + e.getMessage());
        }
    }
}
