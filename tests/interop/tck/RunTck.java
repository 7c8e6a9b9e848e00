import java.io.FileReader;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.eclipse.dataspacetck.core.spi.boot.Monitor;
import org.eclipse.dataspacetck.core.system.ConsoleMonitor;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.ClassNameFilter;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.engine.support.store.Namespace;
import org.junit.platform.launcher.LauncherSession;
import org.junit.platform.launcher.LauncherSessionListener;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherConfig;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs the Dataspace TCK and tells each test as one line: outcome, milliseconds, id, and why it failed.
 *
 * Usage: java -cp 'lib/*' RunTck.java tck.properties [prefix of ids ...]
 * Exit status: 0 if every test that ran passed, 1 if one failed, 2 if none ran.
 */
public class RunTck {

    private static final String PACKAGE = "org.eclipse.dataspacetck.dsp.verification";

    public static void main(String[] args) throws Exception {
        var properties = new Properties();
        try (var reader = new FileReader(args[0])) {
            properties.load(reader);
        }
        // The kit reads its settings as system properties.
        properties.forEach((name, value) -> System.setProperty((String) name, (String) value));
        var prefixes = Arrays.asList(args).subList(1, args.length);

        var telling = new Telling();
        var request = LauncherDiscoveryRequestBuilder.request()
                .selectors(DiscoverySelectors.selectPackage(PACKAGE))
                .filters(ClassNameFilter.includeClassNamePatterns(".*Test"));
        if (!prefixes.isEmpty()) {
            request.filters((PostDiscoveryFilter) found -> FilterResult.includedIf(
                    !found.isTest() || prefixes.stream().anyMatch(Telling.id(found.getDisplayName())::startsWith)));
        }
        var monitor = new ConsoleMonitor(Boolean.getBoolean("dataspacetck.debug"), false);
        var config = LauncherConfig.builder().addLauncherSessionListeners(new LauncherSessionListener() {
            @Override
            public void launcherSessionOpened(LauncherSession session) {
                session.getStore().put(Namespace.GLOBAL, Monitor.class.getName(), monitor);
            }
        }).build();
        LauncherFactory.create(config).execute(request.build(), telling);
        // The kit leaves threads behind that would keep the process alive.
        System.exit(telling.ran == 0 ? 2 : telling.failed == 0 ? 0 : 1);
    }

    private static class Telling implements TestExecutionListener {

        private final Map<String, Long> started = new HashMap<>();
        private int ran;
        private int failed;

        static String id(String displayName) {
            // "CN:01-01: Verify ..." -> "CN:01-01"
            var end = displayName.indexOf(' ');
            return (end < 0 ? displayName : displayName.substring(0, end)).replaceAll(":$", "");
        }

        @Override
        public void executionStarted(TestIdentifier test) {
            started.put(test.getUniqueId(), System.nanoTime());
        }

        @Override
        public void executionSkipped(TestIdentifier test, String reason) {
            tell("skipped", 0, test, reason);
        }

        @Override
        public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            var bad = result.getStatus() != TestExecutionResult.Status.SUCCESSFUL;
            // A container that fails took its tests with it.
            if (!test.isTest() && !bad) {
                return;
            }
            ran++;
            failed += bad ? 1 : 0;
            var milliseconds = (System.nanoTime() - started.get(test.getUniqueId())) / 1_000_000;
            tell(bad ? "failed" : "passed", milliseconds, test,
                    result.getThrowable().map(Throwable::toString).orElse(""));
        }

        private void tell(String outcome, long milliseconds, TestIdentifier test, String why) {
            System.out.printf("TEST\t%s\t%d\t%s\t%s%n", outcome, milliseconds, id(test.getDisplayName()),
                    why.replaceAll("\\s+", " "));
        }
    }
}
