package realm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/schemas"
)

// conn is one initialised connection to a realm. All calls share it and none closes it. It ends once, with a cause:
// died is closed, and whoever owns the conn closes it when the calls on it are over.
type conn struct {
	realm string
	kind  string
	log   hclog.Logger
	tr    transport.Interface
	proc  *process // nil but for stdio

	client   *client.Client
	modern   bool
	version  string // negotiated protocol
	server   string // what the realm calls itself
	metaTail []byte // the fields of `_meta` that a modern realm wants with each request, after a comma

	ids      atomic.Int64
	listed   atomic.Bool // the realm's listing, or the lack of one, is of this connection
	progress progressTable
	headed   atomic.Pointer[map[string]mcp.Tool] // tools whose arguments a modern HTTP realm wants in headers too

	changed   chan struct{} // size 1: the realm says that its tools changed
	refusals  chan []byte   // answers to requests of an SSE realm; best effort too
	refuse    func(ctx context.Context, line []byte) error
	abandoned chan int64 // requests to cancel downstream; best effort, so it drops beyond its size

	died  chan struct{} // closed after cause is set
	cause error
	once  sync.Once

	calls   atomic.Int64
	retired atomic.Bool
	over    chan struct{} // size 1: the last call of a retired conn ended
}

// firstID keeps our request ids apart from those of mcp-go's client, which counts from 1 on the same transport.
const firstID = 1 << 32

// dialer is what connecting needs.
type dialer struct {
	name, kind, protocol, version string
	spec                          schemas.Realm
	limits                        Limits
	start                         spawn
	groups                        *groups
	log                           hclog.Logger
	network                       func(ctx context.Context, network, address string) (net.Conn, error) // nil: the machine's
}

// errHandshakeDied marks a child that ended during the handshake.
var errHandshakeDied = errors.New("ended during the handshake")

// dial connects and does the handshake within ctx. What it returns lives until close, whatever becomes of ctx. An old server may die of the question whether it is a new one: it is then asked in the old way.
func (d *dialer) dial(ctx context.Context) (*conn, error) {
	c, err := d.attempt(ctx, d.protocol)
	if errors.Is(err, errHandshakeDied) && cmp.Or(d.protocol, "auto") == "auto" && ctx.Err() == nil {
		if old, again := d.attempt(ctx, mcp.LATEST_LEGACY_PROTOCOL_VERSION); again == nil {
			return old, nil
		}
	}
	return c, err
}

func (d *dialer) attempt(ctx context.Context, protocol string) (*conn, error) {
	c := &conn{
		realm: d.name, kind: d.kind, log: d.log,
		changed: make(chan struct{}, 1), abandoned: make(chan int64, 256), refusals: make(chan []byte, 64), died: make(chan struct{}), over: make(chan struct{}, 1),
	}
	c.ids.Store(firstID)
	life, cancel := context.WithCancel(context.WithoutCancel(ctx)) // of the streams
	idle := func() {}
	var err error
	if d.kind == transportStdio {
		if c.proc, err = startProcess(d.name, d.spec, d.limits, d.start, d.groups, d.log); err != nil {
			cancel()
			return nil, err
		}
		p := newPipe(c.proc.stdout, c.proc.stdin, d.limits.MaxMessage, d.log)
		c.tr = p
		p.wg.Go(func() { c.mourn(p) })
	} else {
		var web *http.Client
		if c.tr, web, err = d.newHTTPTransport(c.asked); err != nil {
			cancel()
			return nil, err
		}
		idle = web.CloseIdleConnections
		if sse, ok := c.tr.(*transport.SSE); ok {
			c.refuse = func(ctx context.Context, line []byte) error { return postTo(ctx, web, sse, d.spec.Headers, line) }
		}
	}
	c.tr = &tap{Interface: c.tr, onClose: func() { cancel(); idle() }}
	if sse, ok := c.tr.(*tap).Interface.(*transport.SSE); ok {
		sse.SetConnectionLostHandler(func(err error) { c.die(fmt.Errorf("the event stream ended: %w", err)) })
	}

	options := []client.ClientOption{client.WithDiscoverTimeout(d.limits.ProbeTimeout)}
	if protocol = cmp.Or(protocol, "auto"); protocol == "auto" && d.kind == transportSSE {
		protocol = mcp.LATEST_LEGACY_PROTOCOL_VERSION // the stateless protocol has no such transport
	}
	if protocol != "auto" {
		options = append(options, client.WithProtocolVersion(protocol))
	}
	c.client = client.NewClient(c.tr, options...)
	c.client.OnNotification(c.notified)
	if err := c.handshake(ctx, life, d.version); err != nil {
		if c.proc != nil {
			if err = c.explain(err); c.proc.diedAlone() {
				err = fmt.Errorf("%w: %w", errHandshakeDied, err)
			}
		}
		c.die(err)
		c.close()
		return nil, err
	}
	return c, nil
}

// handshake starts the transport on life and initialises within ctx. Where that takes too long or the conn dies of it, the
// conn is closed, which ends whatever it blocks on.
func (c *conn) handshake(ctx, life context.Context, version string) error {
	done := make(chan error, 1)
	go func() {
		done <- c.initialize(ctx, life, mcp.Implementation{Name: "runplane", Version: cmp.Or(version, "dev")})
	}()
	var err error
	select {
	case err = <-done:
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return err
	case <-c.died:
		err = c.cause
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	c.close()
	<-done //nolint:errcheck // why it ended is known
	return err
}

func (c *conn) initialize(ctx, life context.Context, me mcp.Implementation) error {
	if err := c.client.Start(life); err != nil {
		return err
	}
	result, err := c.client.Initialize(ctx, mcp.InitializeRequest{Params: mcp.InitializeParams{ClientInfo: me}})
	if err != nil {
		return err
	}
	c.version = c.client.ProtocolVersion()
	c.modern = mcp.IsModernProtocol(c.version)
	c.server = clean(strings.TrimSpace(result.ServerInfo.Name+" "+result.ServerInfo.Version), 200)
	if c.modern {
		return c.setMeta(me)
	}
	return nil
}

// setMeta prepares what a stateless protocol wants in every request.
func (c *conn) setMeta(me mcp.Implementation) error {
	info, err := json.Marshal(me)
	if err != nil {
		return err
	}
	c.metaTail = fmt.Appendf(nil, `,%q:%q,%q:{},%q:%s`, mcp.MetaKeyProtocolVersion, c.version, mcp.MetaKeyClientCapabilities, mcp.MetaKeyClientInfo, info)
	return nil
}

// mourn ends the conn when the pipe or the child does.
func (c *conn) mourn(p *pipe) {
	select {
	case <-p.ended:
		c.die(c.explain(p.cause))
	case <-c.proc.exited:
		// What the child still wrote is read before the end is called.
		timer := time.NewTimer(2 * drainTime)
		defer timer.Stop()
		select {
		case <-p.ended:
		case <-timer.C:
		}
		c.die(c.proc.obituary())
		p.fail(c.proc.obituary())
	}
}

// die ends the conn; the first cause counts.
func (c *conn) die(cause error) {
	c.once.Do(func() {
		c.cause = cause
		close(c.died)
	})
}

// explain replaces the bare end of a pipe by how the child ended, where that is known soon.
func (c *conn) explain(err error) error {
	if c.proc == nil {
		return err
	}
	if e, ok := errors.AsType[*schemas.Error](err); ok {
		return e // it was cut from outside
	}
	if c.proc.exitsWithin(drainTime) {
		return c.proc.obituary()
	}
	return err
}

// run does what a living conn has to do beside calls, until it dies or ctx ends. Cancellations that are due then still go
// out, for a short time.
func (c *conn) run(ctx context.Context) {
	listening, hangUp := context.WithCancel(ctx)
	telling, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	var listener, tellers sync.WaitGroup
	defer listener.Wait()
	defer hangUp()
	if caps := c.client.GetServerCapabilities(); c.modern && caps.Tools != nil && caps.Tools.ListChanged {
		listener.Go(func() {
			if err := c.client.Listen(listening, mcp.SubscriptionFilter{ToolsListChanged: true}); err != nil && listening.Err() == nil {
				c.log.Debug("no subscription to changes of the tools; they are read again in time", "error", err)
			}
		})
	}
	tell := func(id int64) { tellers.Go(func() { c.cancelDownstream(telling, id) }) }
	refuse := func(line []byte) {
		ctx, cancel := context.WithTimeout(telling, cancelTimeout)
		defer cancel()
		if err := c.refuse(ctx, line); err != nil {
			c.log.Debug("request of the realm left without an answer", "error", err)
		}
	}
	for living := true; living; {
		select {
		case <-ctx.Done():
			living = false
		case <-c.died:
			living = false
		case id := <-c.abandoned:
			tell(id)
		case line := <-c.refusals:
			tellers.Go(func() { refuse(line) })
		}
	}
	farewell := time.AfterFunc(closeTimeout, giveUp)
	defer farewell.Stop()
	for {
		select {
		case id := <-c.abandoned:
			tell(id)
		default:
			tellers.Wait()
			return
		}
	}
}

// cancelTimeout bounds telling a realm that a call is no longer wanted.
const cancelTimeout = 5 * time.Second

func (c *conn) cancelDownstream(ctx context.Context, id int64) {
	ctx, cancel := context.WithTimeout(ctx, cancelTimeout)
	defer cancel()
	err := c.tr.SendNotification(ctx, mcp.JSONRPCNotification{JSONRPC: mcp.JSONRPC_VERSION, Notification: mcp.Notification{
		Method: string(mcp.MethodNotificationCancelled),
		Params: mcp.NotificationParams{AdditionalFields: map[string]any{"requestId": id, "reason": "no longer wanted"}},
	}})
	if err != nil {
		c.log.Debug("cancellation did not reach the realm", "error", err)
	}
}

// asked runs on the read loop of an SSE realm's stream: a request came in, which is refused.
func (c *conn) asked(id json.RawMessage, method string) {
	select {
	case c.refusals <- declineLine(id, method):
	default: // it asks faster than it can be refused
	}
}

// notified runs on the read loop of the transport.
func (c *conn) notified(n mcp.JSONRPCNotification) {
	switch n.Method {
	case string(mcp.MethodNotificationProgress):
		c.progress.push(n.Params.AdditionalFields)
	case string(mcp.MethodNotificationToolsListChanged):
		select {
		case c.changed <- struct{}{}:
		default:
		}
	}
}

// acquire counts a call in; false means that the conn is retired.
func (c *conn) acquire() bool {
	c.calls.Add(1)
	if c.retired.Load() {
		c.release()
		return false
	}
	return true
}

func (c *conn) release() {
	if c.calls.Add(-1) == 0 && c.retired.Load() {
		select {
		case c.over <- struct{}{}:
		default:
		}
	}
}

// retire takes no more calls, waits for those under way unless the conn is dead to them, and closes.
func (c *conn) retire(ctx context.Context) {
	c.retired.Store(true)
	if c.kind == transportHTTP { // elsewhere the end of the stream ended the calls
		for c.calls.Load() > 0 && ctx.Err() == nil {
			select {
			case <-c.over:
			case <-ctx.Done():
			}
		}
	}
	c.close()
}

// close ends everything that belongs to the conn and returns when it is gone.
func (c *conn) close() {
	if c.proc != nil {
		c.proc.stop()
	}
	if err := c.tr.Close(); err != nil && c.proc == nil {
		c.log.Debug("closing the connection", "error", err)
	}
}
