#include "routes.hpp"

namespace payment_server {

void add_webhook(httplib::Server&, Service&) {}

}  // namespace payment_server
