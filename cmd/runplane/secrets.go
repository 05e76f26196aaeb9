package main

import (
	"os"

	"github.com/runplane/runplane/runtime/redact"
)

// secrets is what the configuration has besides the realms, whose secrets the pool adds.
func (c *Config) secrets() *redact.Secrets {
	var s redact.Secrets
	s.Named(c.Used)
	s.URL(c.Store)
	for _, proxy := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} { // as realms are reached
		s.URL(os.Getenv(proxy))
	}
	return &s
}
