#include "routes.hpp"

namespace payment_server {

void add_admin(httplib::Server&, Service&) {}

}  // namespace payment_server
