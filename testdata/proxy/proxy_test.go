package proxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/runplane/runplane/testdata/proxy"
)

// echo is a server that sends back what it receives, and closes when its client does.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, p *proxy.Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// say sends a text and reads the same number of bytes.
func say(c net.Conn, text string) error {
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != text {
		return errors.New("got " + string(got))
	}
	return nil
}

func TestAGoodNetworkPassesEverything(t *testing.T) {
	p := proxy.New(t, echo(t), 1)
	c := dial(t, p)
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() {
		c.Write(want)
		c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes, %v, want %d and an orderly end", len(got), err, len(want))
	}
	if n := p.Accepted(); n != 1 {
		t.Errorf("accepted %d, want 1", n)
	}
}

func TestLatencyDelaysBothWays(t *testing.T) {
	p := proxy.New(t, echo(t), 1)
	c := dial(t, p)
	p.Set(proxy.Faults{Latency: 30 * time.Millisecond, Jitter: 20 * time.Millisecond})
	start := time.Now()
	if err := say(c, "hello"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 60*time.Millisecond {
		t.Errorf("there and back took %v, want 60ms at least", took)
	}
}

func TestResetEndsOpenConnectionsAlone(t *testing.T) {
	p := proxy.New(t, echo(t), 1)
	c := dial(t, p)
	if err := say(c, "hello"); err != nil {
		t.Fatal(err)
	}
	if n := p.Reset(); n != 1 {
		t.Errorf("reset %d, want 1", n)
	}
	if err := say(c, "again"); err == nil {
		t.Error("the connection lives")
	}
	if err := say(dial(t, p), "hello"); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}

func TestCutIsExact(t *testing.T) {
	p := proxy.New(t, echo(t), 1)
	c := dial(t, p)
	if err := say(c, "before"); err != nil {
		t.Fatal(err)
	}
	p.Set(proxy.Faults{Cut: 10})
	if err := say(c, "12345"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "67890abc"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if !errors.Is(err, syscall.ECONNRESET) || len(got) > 5 {
		t.Errorf("got %q, %v, want a reset after at most 5 more bytes", got, err)
	}
	p.Heal()
	if err := say(dial(t, p), "a long text that passes whole"); err != nil {
		t.Error(err)
	}
}

// The same seed cuts the same connections at the same bytes; the last one may or may not arrive.
func TestCutsFollowTheSeed(t *testing.T) {
	target := echo(t)
	cuts := func(seed uint64) (all []int) {
		p := proxy.New(t, target, seed)
		p.Set(proxy.Faults{Cut: 5, CutJitter: 100})
		for range 8 {
			c := dial(t, p)
			n := 0
			for say(c, "x") == nil {
				n++
			}
			all = append(all, n)
		}
		return all
	}
	near := func(a, b int) bool { return max(a, b)-min(a, b) <= 1 }
	first, again, other := cuts(1), cuts(1), cuts(2)
	if !slices.EqualFunc(first, again, near) {
		t.Errorf("seed 1 cut at %v, then at %v", first, again)
	}
	if slices.EqualFunc(first, other, near) {
		t.Errorf("seeds 1 and 2 both cut at %v", first)
	}
	for _, n := range first {
		if n < 4 || n > 105 {
			t.Errorf("cut after %d bytes, want 4 to 105", n)
		}
	}
}

func TestABlackholeKeepsWhatIsSent(t *testing.T) {
	p := proxy.New(t, echo(t), 1)
	c := dial(t, p)
	if err := say(c, "hello"); err != nil {
		t.Fatal(err)
	}
	p.Set(proxy.Faults{Blackhole: true})
	answered := make(chan error, 1)
	go func() { answered <- say(c, "hello") }()
	select {
	case err := <-answered:
		t.Fatalf("answered through a blackhole: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	p.Heal()
	if err := <-answered; err != nil {
		t.Fatalf("after healing: %v", err)
	}
}

func TestRefusedConnections(t *testing.T) {
	p := proxy.New(t, echo(t), 1)
	open := dial(t, p)
	if err := say(open, "hello"); err != nil {
		t.Fatal(err)
	}
	p.Set(proxy.Faults{Refuse: true})
	if c, err := net.Dial("tcp", p.Addr); err == nil {
		if err := say(c, "hello"); err == nil {
			t.Error("a new connection works")
		}
		c.Close()
	}
	if err := say(open, "still"); err != nil {
		t.Errorf("the open one: %v", err)
	}
}
