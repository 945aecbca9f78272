// redis_fixture start|stop <file>: a server, and the three nodes of a cluster, which has not come together
// yet.

#include "support/redis_server.hpp"

int main(int argc, char** argv) {
  return support::run_fixture(argc, argv, [](pid_t until) {
    const RedisServer server(RedisServer::durable(), until);
    RedisCluster cluster(3, 0, {}, until);
    std::vector<support::FixtureServer> all{server.as_fixture()};
    for (std::size_t at = 0; at < cluster.size(); ++at) all.push_back(cluster.node(at).as_fixture());
    return all;
  });
}
