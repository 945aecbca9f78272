#include "routes.hpp"

namespace payment_server {

void add_checkout(httplib::Server&, Service&) {}

}  // namespace payment_server
