// One endpoint, POST /payments, with or without the guard before it: what http_benchmark.sh puts load on.
//
//   http_benchmark_server none|memory|file:DIR [THREADS]
//
// Prints its port. Without the guard the handler is called for each request, and has the same work to do: it
// writes a receipt of 200 bytes.

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <httplib.h>

#include <paidonce/http/httplib.hpp>
#include <paidonce/http/httplib_server.hpp>
#include <paidonce/http/responder.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/stores/file.hpp>

using namespace paidonce;

namespace {

http::Response receipt() {
  static const std::string body =
      R"({"id":"ch_1","object":"charge","amount":450,"currency":"eur","status":"succeeded","description":")" +
      std::string(110, 'x') + "\"}";
  return {200, {{"Content-Type", "application/json"}}, body};
}

int serve(http::Server& server) {
  const int port = server.bind_to_any_port("127.0.0.1");
  std::printf("%d\n", port);
  std::fflush(stdout);
  return server.listen_after_bind() ? 0 : 1;
}

template <class S>
int guarded(http::Server& server, S store) {
  IdempotencyGuard<S> guard(std::move(store));
  http::Responder responder(guard);
  server.Post("/payments", [&](const httplib::Request& request, httplib::Response& response) {
    http::send(
        responder.answer(http::Tenant("shop"), http::view_of(request), [](Attempt&) { return receipt(); }),
        response);
  });
  return serve(server);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view kind = argc > 1 ? argv[1] : "";
  http::ServerOptions options;
  options.threads = argc > 2 ? static_cast<std::size_t>(std::atoi(argv[2])) : 64;
  options.requests_per_connection = 1'000'000'000;
  http::Server server(options);
  if (kind == "none") {
    server.Post("/payments", [](const httplib::Request&, httplib::Response& response) {
      http::send(receipt(), response);
    });
    return serve(server);
  }
  if (kind == "memory") return guarded(server, MemoryStore{});
  if (kind.starts_with("file:")) return guarded(server, FileStore{std::string(kind.substr(5))});
  std::fprintf(stderr, "usage: http_benchmark_server none|memory|file:DIR [THREADS]\n");
  return 2;
}
