// postgres_fixture start|stop <file>

#include "support/postgres_server.hpp"
#include "support/server_fixture.hpp"

int main(int argc, char** argv) {
  return support::run_fixture(argc, argv, [](pid_t until) {
    const PostgresServer server({{"max_connections", "200"}}, support::Place::memory, until);
    return std::vector<support::FixtureServer>{{server.port(), server.socket_directory(), server.keeper()}};
  });
}
