package hansa.interop;

import org.eclipse.edc.crawler.spi.TargetNode;
import org.eclipse.edc.crawler.spi.TargetNodeDirectory;
import org.eclipse.edc.runtime.metamodel.annotation.Inject;
import org.eclipse.edc.spi.system.ServiceExtension;
import org.eclipse.edc.spi.system.ServiceExtensionContext;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Names the participants that EDC's federated catalogue visits. */
public class CrawlExtension implements ServiceExtension {

    private static final String PROTOCOL = "dataspace-protocol-http:2025-1";

    @Inject
    private TargetNodeDirectory nodes;

    @Override
    public String name() {
        return "Interop crawl";
    }

    /** Reads one participant a line: its id, a blank, the base URL of its protocol endpoints. */
    @Override
    public void initialize(ServiceExtensionContext context) {
        try (var lines = Files.lines(Path.of(context.getSetting("interop.crawled", "crawled.txt")))) {
            lines.map(line -> line.split(" "))
                    .forEach(said -> nodes.insert(new TargetNode(said[0], said[0], said[1], List.of(PROTOCOL))));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
