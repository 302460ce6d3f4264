import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * Calls that Java's own client makes, as LangChain4j and Spring AI do: by default it offers h2c with every request over
 * plain HTTP. Prints a line for each call: what it was, the status, and how often "Hello" was in the answer.
 */
public class HttpCalls {
  public static void main(String[] args) throws Exception {
    String base = args[0];
    HttpClient client = HttpClient.newHttpClient();
    for (int turn = 0; turn < 5; turn++) {
      show("post", client.send(post(base, false, false), HttpResponse.BodyHandlers.ofString()));
    }
    show("expect", client.send(post(base, false, true), HttpResponse.BodyHandlers.ofString()));
    show("stream", client.send(post(base, true, false), HttpResponse.BodyHandlers.ofString()));
    HttpRequest models = HttpRequest.newBuilder(URI.create(base + "/models")).build();
    show("get", client.send(models, HttpResponse.BodyHandlers.ofString()));
    List<CompletableFuture<HttpResponse<String>>> calls = new ArrayList<>();
    for (int call = 0; call < 20; call++) {
      calls.add(client.sendAsync(post(base, call % 2 == 0, false), HttpResponse.BodyHandlers.ofString()));
    }
    for (CompletableFuture<HttpResponse<String>> call : calls) {
      show("parallel", call.get());
    }
  }

  private static HttpRequest post(String base, boolean stream, boolean expects) {
    String body = "{\"model\":\"gpt-4o\",\"stream\":" + stream
        + ",\"messages\":[{\"role\":\"user\",\"content\":\"" + "x".repeat(100_000) + "\"}]}";
    return HttpRequest.newBuilder(URI.create(base + "/chat/completions"))
        .header("content-type", "application/json")
        .expectContinue(expects)
        .POST(HttpRequest.BodyPublishers.ofString(body))
        .build();
  }

  private static void show(String call, HttpResponse<String> answer) {
    int found = answer.body().split("Hello", -1).length - 1;
    System.out.println(call + " " + answer.version() + " " + answer.statusCode() + " " + found);
  }
}
