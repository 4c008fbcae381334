// A CRI runtime that runs containers as local processes: no images, no cgroups.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis"
	v1 "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// image is what images/*.json holds: the part of a container image that a process needs.
type image struct {
	Ref        string            `json:"ref"`
	Rootfs     string            `json:"rootfs"`
	Entrypoint []string          `json:"entrypoint"`
	Cmd        []string          `json:"cmd"`
	Env        map[string]string `json:"env"`
	WorkingDir string            `json:"workingDir"`
	UID        int64             `json:"uid"`
	id         string
}
type sandbox struct {
	id, ip  string
	cfg     *v1.PodSandboxConfig
	created int64
	ready   bool
	pause   *exec.Cmd
}
type container struct {
	id, sb, dir                string
	cfg                        *v1.ContainerConfig
	img                        *image
	cmd                        *exec.Cmd
	state                      v1.ContainerState
	created, started, finished int64
	code                       int32
	done                       chan struct{}
	log                        *logFile
	uid, gid                   int
}
type procRuntime struct {
	cri.RuntimeService // nil: anything not implemented below panics, and shows up at once
	mu                 sync.Mutex
	root, images       string
	bridge, prefix     string
	kinit              string
	streams            streaming.Server
	next               int
	sbs                map[string]*sandbox
	cs                 map[string]*container
}

func newID() string           { b := make([]byte, 16); rand.Read(b); return hex.EncodeToString(b) }
func notFound(s string) error { return status.Error(codes.NotFound, s+" not found") }
func sh(args ...string) error {
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return nil
}
func match(sel, labels map[string]string) bool {
	for k, v := range sel {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// logFile writes the CRI log format, so that `kubectl logs` works.
type logFile struct {
	mu sync.Mutex
	f  *os.File
}

func (l *logFile) copy(stream string, r io.Reader, wg *sync.WaitGroup) {
	defer wg.Done()
	br := bufio.NewReaderSize(r, 16<<10)
	for {
		line, err := br.ReadSlice('\n')
		if len(line) > 0 {
			tag := "F"
			if line[len(line)-1] != '\n' {
				tag = "P"
			}
			l.mu.Lock()
			fmt.Fprintf(l.f, "%s %s %s %s\n", time.Now().Format(time.RFC3339Nano), stream, tag, bytes.TrimSuffix(line, []byte("\n")))
			l.mu.Unlock()
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}

func (r *procRuntime) Version(context.Context, string) (*v1.VersionResponse, error) {
	return &v1.VersionResponse{Version: "0.1.0", RuntimeName: "localproc", RuntimeVersion: "0.1.0", RuntimeApiVersion: "v1"}, nil
}
func (r *procRuntime) Status(context.Context, bool) (*v1.StatusResponse, error) {
	return &v1.StatusResponse{Status: &v1.RuntimeStatus{Conditions: []*v1.RuntimeCondition{
		{Type: v1.RuntimeReady, Status: true}, {Type: v1.NetworkReady, Status: true}}}}, nil
}
func (r *procRuntime) UpdateRuntimeConfig(context.Context, *v1.RuntimeConfig) error { return nil }
func (r *procRuntime) RuntimeConfig(context.Context) (*v1.RuntimeConfigResponse, error) {
	return &v1.RuntimeConfigResponse{}, nil
}
func (r *procRuntime) Close(context.Context) error { return nil }
func (r *procRuntime) UpdateContainerResources(context.Context, string, *v1.ContainerResources) error {
	return nil
}
func (r *procRuntime) ListContainerStats(context.Context, *v1.ContainerStatsFilter) ([]*v1.ContainerStats, error) {
	return nil, nil
}
func (r *procRuntime) ListPodSandboxStats(context.Context, *v1.PodSandboxStatsFilter) ([]*v1.PodSandboxStats, error) {
	return nil, nil
}
func (r *procRuntime) ListMetricDescriptors(context.Context) ([]*v1.MetricDescriptor, error) {
	return nil, nil
}
func (r *procRuntime) ListPodSandboxMetrics(context.Context) ([]*v1.PodSandboxMetrics, error) {
	return nil, nil
}

// ---- sandboxes: one idle process per pod holds the network namespace

func (r *procRuntime) RunPodSandbox(_ context.Context, cfg *v1.PodSandboxConfig, _ string) (string, error) {
	r.mu.Lock()
	sb := &sandbox{id: newID(), cfg: cfg, created: time.Now().UnixNano(), ready: true}
	used := map[string]bool{}
	for _, s := range r.sbs {
		used[s.ip] = s.ready
	}
	for {
		r.next = r.next%230 + 1
		if sb.ip = fmt.Sprintf("%s.%d", r.prefix, 10+r.next); !used[sb.ip] {
			break
		}
	}
	r.sbs[sb.id] = sb
	r.mu.Unlock()
	host := cfg.GetLinux().GetSecurityContext().GetNamespaceOptions().GetNetwork() == v1.NamespaceMode_NODE
	sb.pause = exec.Command(r.kinit, "pause")
	sb.pause.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if host {
		sb.ip = r.prefix + ".1"
	} else {
		sb.pause.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET
	}
	os.MkdirAll(cfg.LogDirectory, 0o755)
	if err := sb.pause.Start(); err != nil {
		return "", err
	}
	go sb.pause.Wait()
	if host {
		return sb.id, nil
	}
	pid, veth := strconv.Itoa(sb.pause.Process.Pid), "v"+sb.id[:12]
	for _, c := range [][]string{
		{"ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", pid},
		{"ip", "link", "set", veth, "master", r.bridge, "up"},
		{"ip", "link", "set", veth, "type", "bridge_slave", "hairpin", "on"}, // a pod that calls its own Service
		{"nsenter", "-t", pid, "-n", "sh", "-ec", "ip link set lo up; ip addr add " + sb.ip + "/24 dev eth0; ip link set eth0 up; ip route add default via " + r.prefix + ".1"},
	} {
		if err := sh(c...); err != nil {
			sb.pause.Process.Kill()
			sb.ready = false
			return "", err
		}
	}
	return sb.id, nil
}
func (r *procRuntime) sandbox(id string) *sandbox { r.mu.Lock(); defer r.mu.Unlock(); return r.sbs[id] }
func (r *procRuntime) StopPodSandbox(ctx context.Context, id string) error {
	sb := r.sandbox(id)
	if sb == nil {
		return nil
	}
	r.mu.Lock()
	var cs []*container
	for _, c := range r.cs {
		if c.sb == id {
			cs = append(cs, c)
		}
	}
	was := sb.ready
	sb.ready = false
	r.mu.Unlock()
	for _, c := range cs {
		r.StopContainer(ctx, c.id, 0)
	}
	if was {
		sb.pause.Process.Kill() // the last process of the network namespace: the veth pair goes with it
	}
	return nil
}
func (r *procRuntime) RemovePodSandbox(ctx context.Context, id string) error {
	r.StopPodSandbox(ctx, id)
	r.mu.Lock()
	var cs []string
	for _, c := range r.cs {
		if c.sb == id {
			cs = append(cs, c.id)
		}
	}
	delete(r.sbs, id)
	r.mu.Unlock()
	for _, c := range cs {
		r.RemoveContainer(ctx, c)
	}
	return nil
}
func (s *sandbox) state() v1.PodSandboxState {
	if s.ready {
		return v1.PodSandboxState_SANDBOX_READY
	}
	return v1.PodSandboxState_SANDBOX_NOTREADY
}
func (r *procRuntime) PodSandboxStatus(_ context.Context, id string, _ bool) (*v1.PodSandboxStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sbs[id]
	if s == nil {
		return nil, notFound("sandbox " + id)
	}
	return &v1.PodSandboxStatusResponse{Status: &v1.PodSandboxStatus{Id: id, Metadata: s.cfg.Metadata, State: s.state(), CreatedAt: s.created,
		Network: &v1.PodSandboxNetworkStatus{Ip: s.ip}, Labels: s.cfg.Labels, Annotations: s.cfg.Annotations,
		Linux: &v1.LinuxPodSandboxStatus{Namespaces: &v1.Namespace{Options: s.cfg.GetLinux().GetSecurityContext().GetNamespaceOptions()}}}}, nil
}
func (r *procRuntime) ListPodSandbox(_ context.Context, f *v1.PodSandboxFilter) (out []*v1.PodSandbox, _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sbs {
		if f != nil && (f.Id != "" && f.Id != s.id || f.State != nil && f.State.State != s.state() || !match(f.LabelSelector, s.cfg.Labels)) {
			continue
		}
		out = append(out, &v1.PodSandbox{Id: s.id, Metadata: s.cfg.Metadata, State: s.state(), CreatedAt: s.created, Labels: s.cfg.Labels, Annotations: s.cfg.Annotations})
	}
	return
}

// ---- containers

func (r *procRuntime) CreateContainer(_ context.Context, sb string, cfg *v1.ContainerConfig, _ *v1.PodSandboxConfig) (string, error) {
	img := r.image(cfg.Image.Image)
	if img == nil {
		return "", notFound("image " + cfg.Image.Image)
	}
	c := &container{id: newID(), sb: sb, cfg: cfg, img: img, created: time.Now().UnixNano(), state: v1.ContainerState_CONTAINER_CREATED, done: make(chan struct{})}
	c.dir = filepath.Join(r.root, "containers", c.id)
	if err := os.MkdirAll(filepath.Join(c.dir, "root"), 0o755); err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cs[c.id] = c
	return c.id, nil
}
func (r *procRuntime) container(id string) *container {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cs[id]
}
func (c *container) env() (env []string) {
	for k, v := range c.img.Env {
		env = append(env, k+"="+v)
	}
	for _, e := range c.cfg.Envs {
		env = append(env, e.Key+"="+string(e.Value))
	}
	return
}
func (r *procRuntime) StartContainer(_ context.Context, id string) error {
	c := r.container(id)
	if c == nil {
		return notFound("container " + id)
	}
	sb := r.sandbox(c.sb)
	sc := c.cfg.GetLinux().GetSecurityContext()
	type mnt struct {
		Host, Path string
		RO         bool
	}
	spec := struct {
		NetPid       int
		Hostname     string
		Root, Rootfs string
		ReadonlyRoot bool
		Mounts       []mnt
		Args, Env    []string
		Dir          string
		UID, GID     int
		Groups       []int
	}{NetPid: sb.pause.Process.Pid, Hostname: sb.cfg.Hostname, Root: filepath.Join(c.dir, "root"), Rootfs: c.img.Rootfs,
		ReadonlyRoot: sc.GetReadonlyRootfs(), Dir: c.cfg.WorkingDir, UID: int(c.img.UID), GID: int(c.img.UID), Env: append(c.env(), "HOSTNAME="+sb.cfg.Hostname)}
	for _, m := range c.cfg.Mounts {
		spec.Mounts = append(spec.Mounts, mnt{m.HostPath, m.ContainerPath, m.Readonly})
	}
	if spec.Dir == "" {
		spec.Dir = c.img.WorkingDir
	}
	// the same rule as a container image: command replaces ENTRYPOINT and CMD, args replaces CMD
	cmd, args := c.cfg.Command, c.cfg.Args
	if len(cmd) == 0 {
		cmd = c.img.Entrypoint
		if len(args) == 0 {
			args = c.img.Cmd
		}
	}
	spec.Args = append(append([]string{}, cmd...), args...)
	if len(spec.Args) == 0 {
		return fmt.Errorf("no command specified")
	}
	if u := sc.GetRunAsUser(); u != nil {
		spec.UID = int(u.Value)
	}
	if g := sc.GetRunAsGroup(); g != nil {
		spec.GID = int(g.Value)
	}
	for _, g := range sc.GetSupplementalGroups() {
		spec.Groups = append(spec.Groups, int(g))
	}
	c.uid, c.gid = spec.UID, spec.GID
	b, _ := json.Marshal(spec)
	if err := os.WriteFile(filepath.Join(c.dir, "spec.json"), b, 0o600); err != nil {
		return err
	}
	logPath := filepath.Join(sb.cfg.LogDirectory, c.cfg.LogPath)
	os.MkdirAll(filepath.Dir(logPath), 0o755)
	f, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	c.log = &logFile{f: f}
	c.cmd = exec.Command(r.kinit, "run", filepath.Join(c.dir, "spec.json"))
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL,
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC}
	so, _ := c.cmd.StdoutPipe()
	se, _ := c.cmd.StderrPipe()
	if err := c.cmd.Start(); err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Add(2)
	go c.log.copy("stdout", so, &wg)
	go c.log.copy("stderr", se, &wg)
	r.mu.Lock()
	c.state, c.started = v1.ContainerState_CONTAINER_RUNNING, time.Now().UnixNano()
	r.mu.Unlock()
	go func() {
		wg.Wait()
		c.cmd.Wait()
		ws := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
		r.mu.Lock()
		if c.code = int32(ws.ExitStatus()); ws.Signaled() {
			c.code = 128 + int32(ws.Signal())
		}
		c.state, c.finished = v1.ContainerState_CONTAINER_EXITED, time.Now().UnixNano()
		r.mu.Unlock()
		c.log.mu.Lock()
		c.log.f.Close()
		c.log.mu.Unlock()
		close(c.done)
	}()
	return nil
}
func (r *procRuntime) StopContainer(ctx context.Context, id string, timeout int64) error {
	c := r.container(id)
	if c == nil || c.cmd == nil || c.cmd.Process == nil {
		return nil
	}
	select {
	case <-c.done:
		return nil
	default:
	}
	if timeout > 0 {
		c.cmd.Process.Signal(syscall.SIGTERM) // to PID 1 of the container only, as a runtime does
		select {
		case <-c.done:
			return nil
		case <-time.After(time.Duration(timeout) * time.Second):
		}
	}
	c.cmd.Process.Kill() // PID 1 of the pid namespace: the kernel kills the rest
	<-c.done
	return nil
}
func (r *procRuntime) RemoveContainer(ctx context.Context, id string) error {
	c := r.container(id)
	if c == nil {
		return nil
	}
	r.StopContainer(ctx, id, 0)
	r.mu.Lock()
	delete(r.cs, id)
	r.mu.Unlock()
	if sb := r.sandbox(c.sb); sb != nil {
		os.Remove(filepath.Join(sb.cfg.LogDirectory, c.cfg.LogPath))
	}
	return os.RemoveAll(c.dir)
}
func (r *procRuntime) ListContainers(_ context.Context, f *v1.ContainerFilter) (out []*v1.Container, _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.cs {
		if f != nil && (f.Id != "" && f.Id != c.id || f.PodSandboxId != "" && f.PodSandboxId != c.sb || f.State != nil && f.State.State != c.state || !match(f.LabelSelector, c.cfg.Labels)) {
			continue
		}
		out = append(out, &v1.Container{Id: c.id, PodSandboxId: c.sb, Metadata: c.cfg.Metadata, Image: c.cfg.Image, ImageRef: c.img.id, ImageId: c.img.id, State: c.state, CreatedAt: c.created, Labels: c.cfg.Labels, Annotations: c.cfg.Annotations})
	}
	return
}
func (r *procRuntime) ContainerStatus(_ context.Context, id string, _ bool) (*v1.ContainerStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.cs[id]
	if c == nil {
		return nil, notFound("container " + id)
	}
	s := &v1.ContainerStatus{Id: id, Metadata: c.cfg.Metadata, State: c.state, CreatedAt: c.created, StartedAt: c.started, FinishedAt: c.finished, ExitCode: c.code,
		Image: &v1.ImageSpec{Image: c.img.Ref}, ImageRef: c.img.id, ImageId: c.img.id, Labels: c.cfg.Labels, Annotations: c.cfg.Annotations, Mounts: c.cfg.Mounts}
	if sb := r.sbs[c.sb]; sb != nil {
		s.LogPath = filepath.Join(sb.cfg.LogDirectory, c.cfg.LogPath)
	}
	if c.state == v1.ContainerState_CONTAINER_EXITED {
		if s.Reason = "Completed"; c.code != 0 {
			s.Reason = "Error"
		}
	}
	return &v1.ContainerStatusResponse{Status: s}, nil
}
func (r *procRuntime) ExecSync(ctx context.Context, id string, cmd []string, timeout time.Duration) ([]byte, []byte, error) {
	c := r.container(id)
	if c == nil || c.cmd == nil {
		return nil, nil, notFound("container " + id)
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	e := c.command(ctx, cmd)
	var so, se bytes.Buffer
	e.Stdout, e.Stderr, e.WaitDelay = &so, &se, time.Second
	err := e.Run()
	if ctx.Err() == context.DeadlineExceeded {
		err = status.Error(codes.DeadlineExceeded, "command timed out")
	}
	return so.Bytes(), se.Bytes(), exitCode(err)
}

// command runs something in a container, as its user.
func (c *container) command(ctx context.Context, cmd []string) *exec.Cmd {
	e := exec.CommandContext(ctx, "nsenter", append([]string{"-t", strconv.Itoa(c.cmd.Process.Pid), "-m", "-n", "-p", "-u", "-i", "-r", "-w",
		"-S", strconv.Itoa(c.uid), "-G", strconv.Itoa(c.gid), "--"}, cmd...)...)
	e.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, c.env()...)
	return e
}
func exitCode(err error) error {
	if x, ok := err.(*exec.ExitError); ok {
		return utilexec.CodeExitError{Err: err, Code: x.ExitCode()}
	}
	return err
}
func (r *procRuntime) Exec(_ context.Context, q *v1.ExecRequest) (*v1.ExecResponse, error) {
	return r.streams.GetExec(q)
}

// execs is what `kubectl exec` talks to, without a terminal.
type execs struct{ r *procRuntime }

func (x execs) Exec(ctx context.Context, id string, cmd []string, in io.Reader, out, err io.WriteCloser, tty bool, _ <-chan remotecommand.TerminalSize) error {
	c := x.r.container(id)
	if c == nil || c.cmd == nil {
		return notFound("container " + id)
	}
	if tty {
		return status.Error(codes.Unimplemented, "terminal")
	}
	e := c.command(ctx, cmd)
	e.Stdin, e.Stdout, e.Stderr, e.WaitDelay = in, out, err, time.Second
	return exitCode(e.Run())
}
func (x execs) Attach(context.Context, string, io.Reader, io.WriteCloser, io.WriteCloser, bool, <-chan remotecommand.TerminalSize) error {
	return status.Error(codes.Unimplemented, "attach")
}
func (x execs) PortForward(context.Context, string, int32, io.ReadWriteCloser) error {
	return status.Error(codes.Unimplemented, "port-forward")
}
func (r *procRuntime) Attach(context.Context, *v1.AttachRequest) (*v1.AttachResponse, error) {
	return nil, status.Error(codes.Unimplemented, "attach")
}
func (r *procRuntime) PortForward(context.Context, *v1.PortForwardRequest) (*v1.PortForwardResponse, error) {
	return nil, status.Error(codes.Unimplemented, "port-forward")
}
func (r *procRuntime) ReopenContainerLog(context.Context, string) error { return nil }

// ---- images: images/*.json, read anew each time, so that a build "pushes" by writing a file

func (r *procRuntime) image(ref string) *image {
	for _, i := range r.all() {
		if i.Ref == ref || i.id == ref {
			return i
		}
	}
	return nil
}
func (r *procRuntime) all() (out []*image) {
	fs, _ := filepath.Glob(filepath.Join(r.images, "*.json"))
	for _, f := range fs {
		b, err := os.ReadFile(f)
		i := &image{}
		if err != nil || json.Unmarshal(b, i) != nil {
			continue
		}
		h := sha256.Sum256(b)
		i.id = "sha256:" + hex.EncodeToString(h[:])
		if i.Rootfs != "" && !filepath.IsAbs(i.Rootfs) {
			i.Rootfs = filepath.Join(r.images, i.Rootfs)
		}
		out = append(out, i)
	}
	return
}
func (i *image) cri() *v1.Image {
	return &v1.Image{Id: i.id, RepoTags: []string{i.Ref}, Size: 1 << 20, Uid: &v1.Int64Value{Value: i.UID}, Pinned: true}
}

type procImages struct{ r *procRuntime }

func (p procImages) ListImages(context.Context, *v1.ImageFilter) (out []*v1.Image, _ error) {
	for _, i := range p.r.all() {
		out = append(out, i.cri())
	}
	return
}
func (p procImages) ImageStatus(_ context.Context, s *v1.ImageSpec, _ bool) (*v1.ImageStatusResponse, error) {
	if i := p.r.image(s.Image); i != nil {
		return &v1.ImageStatusResponse{Image: i.cri()}, nil
	}
	return &v1.ImageStatusResponse{}, nil
}
func (p procImages) PullImage(_ context.Context, s *v1.ImageSpec, _ *v1.AuthConfig, _ *v1.PodSandboxConfig) (string, error) {
	if i := p.r.image(s.Image); i != nil {
		return i.id, nil
	}
	return "", notFound("image " + s.Image)
}
func (p procImages) RemoveImage(context.Context, *v1.ImageSpec) error { return nil }
func (p procImages) ImageFsInfo(context.Context) (*v1.ImageFsInfoResponse, error) {
	return &v1.ImageFsInfoResponse{}, nil
}
func (p procImages) Close(context.Context) error { return nil }
