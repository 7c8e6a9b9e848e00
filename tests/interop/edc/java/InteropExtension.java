package hansa.interop;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import org.eclipse.edc.connector.dataplane.spi.Endpoint;
import org.eclipse.edc.connector.dataplane.spi.iam.DataPlaneAuthorizationService;
import org.eclipse.edc.connector.dataplane.spi.iam.PublicEndpointGeneratorService;
import org.eclipse.edc.runtime.metamodel.annotation.Inject;
import org.eclipse.edc.spi.security.Vault;
import org.eclipse.edc.spi.system.ServiceExtension;
import org.eclipse.edc.spi.system.ServiceExtensionContext;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;

/**
 * What an EDC runtime made of plain jars lacks to be a whole peer: keys that sign its data tokens, and a public
 * door through which its data can be pulled.
 */
public class InteropExtension implements ServiceExtension {

    @Inject
    private Vault vault;
    @Inject
    private PublicEndpointGeneratorService endpoints;
    @Inject
    private DataPlaneAuthorizationService tokens;

    private HttpServer door;

    @Override
    public String name() {
        return "Interop";
    }

    @Override
    public void initialize(ServiceExtensionContext context) {
        for (var alias : List.of("private-key", "public-key")) {
            vault.storeSecret(alias, read(context.getSetting("interop." + alias, alias)));
        }
        var port = context.getSetting("interop.public.port", 0);
        endpoints.addGeneratorFunction("HttpData", address -> Endpoint.url("http://localhost:" + port + "/public"));
        openDoor(port);
    }

    @Override
    public void shutdown() {
        door.stop(0);
    }

    private void openDoor(int port) {
        try {
            door = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        door.createContext("/public", this::serve);
        door.setExecutor(Executors.newCachedThreadPool());
        door.start();
    }

    /** Serves the source behind a token, as long as the token holds. */
    private void serve(HttpExchange exchange) throws IOException {
        try (exchange) {
            var token = String.valueOf(exchange.getRequestHeaders().getFirst("Authorization")).replace("Bearer ", "");
            var authorized = tokens.authorize(token, Map.of());
            if (authorized.failed()) {
                exchange.sendResponseHeaders(403, -1);
                return;
            }
            var source = URI.create(authorized.getContent().getStringProperty("baseUrl"));
            var answer = HttpClient.newHttpClient().send(HttpRequest.newBuilder(source).build(), BodyHandlers.ofByteArray());
            exchange.sendResponseHeaders(answer.statusCode(), answer.body().length);
            exchange.getResponseBody().write(answer.body());
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    private static String read(String file) {
        try {
            return Files.readString(Path.of(file));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
