package standin.si;

import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarInputStream;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;

/** The tools around lib/: merging .jars and .bundles into it before a start, and making a bundle of a plain jar. */
public final class InstallJars {
    private InstallJars() {
    }

    /** One argument: the home, merge. Two: a jar and the folder that gets the bundle. */
    public static void main(String[] args) throws IOException {
        if (args.length == 2) {
            bundle(new File(args[0]), new File(args[1]));
        } else {
            merge(new File(args[0]));
        }
    }

    /** lib/ is made new from its first copy whenever .jars or .bundles change; what was put into lib/ later is lost then. */
    private static void merge(File home) throws IOException {
        File jars = new File(home, ".jars"), bundles = new File(home, ".bundles"), lib = new File(home, "lib");
        File pristine = new File(home, "_lib"), meta = new File(home, ".meta");
        if (!jars.isDirectory() && !bundles.isDirectory()) {
            return;
        }
        String now = listing(jars) + listing(bundles);
        if (meta.exists() && Files.readString(meta.toPath()).equals(now)) {
            return;
        }
        if (!pristine.exists()) {
            copy(lib, pristine);
        } else {
            for (File f : files(lib)) {
                Files.delete(f.toPath());
            }
            copy(pristine, lib);
        }
        copy(bundles, lib);
        for (File f : files(jars)) {
            bundle(f, lib);
        }
        Files.writeString(meta.toPath(), now);
    }

    private static File[] files(File folder) {
        File[] f = folder.listFiles(File::isFile);
        return f == null ? new File[0] : f;
    }

    private static String listing(File folder) {
        StringBuilder out = new StringBuilder(folder.getName()).append('\n');
        Arrays.stream(files(folder)).sorted().forEach(f -> out.append(f.getName()).append(' ').append(f.length()).append('\n'));
        return out.toString();
    }

    private static void copy(File from, File to) throws IOException {
        to.mkdirs();
        for (File f : files(from)) {
            Files.copy(f.toPath(), new File(to, f.getName()).toPath(), StandardCopyOption.REPLACE_EXISTING);
        }
    }

    /** The headers that jartobundle.sh of SI writes. The classes stay where they are, so that the result is a plain jar as well. */
    private static void bundle(File jar, File folder) throws IOException {
        String name = jar.getName().replaceAll("\\.jar$", "").replaceAll("[^A-Za-z0-9]", "_");
        folder.mkdirs();
        try (JarInputStream in = new JarInputStream(new FileInputStream(jar))) {
            Manifest m = in.getManifest() == null ? new Manifest() : in.getManifest();
            Attributes a = m.getMainAttributes();
            a.putIfAbsent(Attributes.Name.MANIFEST_VERSION, "1.0");
            a.putIfAbsent(new Attributes.Name("Bundle-ManifestVersion"), "2");
            a.putIfAbsent(new Attributes.Name("Bundle-Name"), name);
            a.putIfAbsent(new Attributes.Name("Bundle-SymbolicName"), name);
            a.putIfAbsent(new Attributes.Name("Bundle-Version"), "1.0.0");
            a.putIfAbsent(new Attributes.Name("Export-Package"), String.join(",", packages(jar)));
            a.putIfAbsent(new Attributes.Name("DynamicImport-Package"), "*");
            try (JarOutputStream out = new JarOutputStream(new FileOutputStream(new File(folder, name + "_1.0.0.jar")), m)) {
                for (JarEntry e = in.getNextJarEntry(); e != null; e = in.getNextJarEntry()) {
                    if (!e.getName().equals("META-INF/MANIFEST.MF")) {
                        JarEntry copy = new JarEntry(e.getName());
                        copy.setTime(e.getTime());
                        out.putNextEntry(copy);
                        in.transferTo(out);
                    }
                }
            }
        }
    }

    private static Set<String> packages(File jar) throws IOException {
        Set<String> out = new TreeSet<>();
        try (JarFile f = new JarFile(jar)) {
            f.stream().map(JarEntry::getName).filter(n -> n.endsWith(".class") && n.indexOf('/') > 0 && !n.startsWith("META-INF/"))
                    .forEach(n -> out.add(n.substring(0, n.lastIndexOf('/')).replace('/', '.')));
        }
        return out;
    }

    static boolean isBundle(File jar) {
        try (JarFile f = new JarFile(jar)) {
            return f.getManifest() != null && f.getManifest().getMainAttributes().getValue("Bundle-SymbolicName") != null;
        } catch (IOException e) {
            return false;
        }
    }
}
