package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runplane/runplane/schemas"
)

// A written 0 is not the same as nothing: it is kept apart up to where the levels are put together.
func TestPoliciesTellOffFromAbsent(t *testing.T) {
	c := yamlFile(`
mcpServers: {shop: {command: x}, old: {command: y}}
limits: {principal: {calls: 100, per: 1d}, session: {time: 5m}}
policies:
  default: {timeout: 30s, breaker: {failures: 5}, rate_limit: {rate: 10, per: 1m}, concurrency: 8, cache_ttl: 1m, retry_unknown: false}
  realms:
    shop:
      capabilities:
        ping: {timeout: 0s, breaker: {failures: 0}, rate_limit: {rate: 0}, concurrency: 0, cache_ttl: 0s, retry_unknown: true}
        list:
          fallback:
            - capability: old.list
            - value: {ids: [1, 0x10, "${env:HOME}"], none: null, half: 0.5, yes: true}
`).mustLoad(t)
	if got := c.Limits; got.Principal != (schemas.Quota{Calls: 100, Per: schemas.Duration(24 * time.Hour)}) || got.Session != (schemas.Quota{Time: schemas.Duration(5 * time.Minute)}) {
		t.Errorf("quotas: %+v", got)
	}
	off, list := c.Policies.For("shop", "ping"), c.Policies.For("shop", "list")
	if *off.Timeout != 0 || off.TimeoutFrom != "capability's policy" || *off.Breaker.Failures != 0 || off.RateLimit.Rate != 0 || *off.Concurrency != 0 || *off.CacheTTL != 0 {
		t.Errorf("what was switched off: %+v", off)
	}
	if off.ForbidsRetryUnknown() || off.RetryUnknownFrom != "capability's policy" || !list.ForbidsRetryUnknown() || list.RetryUnknownFrom != "default policy" {
		t.Errorf("retry_unknown: %v by the %s, %v by the %s", *off.RetryUnknown, off.RetryUnknownFrom, *list.RetryUnknown, list.RetryUnknownFrom)
	}
	if list.Timeout.String() != "30s" || list.TimeoutFrom != "default policy" || *list.Breaker.Failures != 5 || list.RateLimit.Rate != 10 || *list.Concurrency != 8 {
		t.Errorf("what is inherited: %+v", list)
	}
	want := []schemas.PolicyFallback{{Capability: "old.list"}, {Value: schemas.Value(`{"ids":[1,16,"/home/ada"],"none":null,"half":0.5,"yes":true}`)}}
	if diff := cmp.Diff(want, list.Fallback); diff != "" {
		t.Error(diff)
	}
}
