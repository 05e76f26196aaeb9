package main

import (
	"fmt"
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is the part of a control group's memory that the collector of this process aims to stay below. The rest is for the realms
// in the same group and for pages of the store's file.
const memoryShare = 0.7

// limitMemory has the collector work harder where the memory of the process is limited, before the kernel kills it. A GOMEMLIMIT of the
// environment is obeyed instead.
func limitMemory() {
	_, _ = memlimit.Set(memlimit.WithRatio(memoryShare)) // on a system without control groups nothing is known and nothing is set
}

// memoryLimit is what the collector aims to stay below, for the log.
func memoryLimit() string {
	limit := debug.SetMemoryLimit(-1) // it reads the limit
	if limit == math.MaxInt64 {
		return "none"
	}
	return fmt.Sprintf("%d MiB", limit>>20)
}
