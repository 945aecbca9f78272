// rabbitmq_fixture start|stop <file>

#include "support/rabbitmq_server.hpp"

int main(int argc, char** argv) {
  return support::run_fixture(argc, argv, [](pid_t until) {
    const RabbitServer server(until);
    return std::vector<support::FixtureServer>{server.as_fixture()};
  });
}
