// knode: the real kubelet (pod workers, probes, preStop, grace periods, status, volumes,
// node lease) over the process runtime in runtime.go. It keeps out of the machine's
// cgroups, sysctls, iptables and OOM scores: those parts are the kubemark stubs.
package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"time"

	cadvisorapi "github.com/google/cadvisor/info/v1"
	"go.opentelemetry.io/otel/trace/noop"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/cri-streaming/pkg/streaming"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/kubelet"
	cadvisortest "k8s.io/kubernetes/pkg/kubelet/cadvisor/testing"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
	kubeletutil "k8s.io/kubernetes/pkg/kubelet/util"
	"k8s.io/kubernetes/pkg/util/oom"
	"k8s.io/kubernetes/pkg/volume/util/hostutil"
	"k8s.io/kubernetes/pkg/volume/util/subpath"
	"k8s.io/mount-utils"
	"k8s.io/utils/exec"
)

type machine struct{ cadvisortest.Fake }

func (m *machine) MachineInfo() (*cadvisorapi.MachineInfo, error) {
	return &cadvisorapi.MachineInfo{NumCores: 8, MemoryCapacity: 32 << 30, InstanceID: "localproc"}, nil
}

func main() {
	klog.InitFlags(nil)
	kubeconfig := flag.String("kubeconfig", "", "")
	root := flag.String("root", "", "")
	images := flag.String("images", "", "")
	bridge := flag.String("bridge", "br0", "")
	prefix := flag.String("pod-prefix", "10.244.0", "")
	name := flag.String("name", "local", "")
	flag.Parse()
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			klog.Fatal(err)
		}
	}

	rc, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	check(err)
	rc.QPS, rc.Burst = 100, 200
	client, err := clientset.NewForConfig(rc)
	check(err)

	f := options.NewKubeletFlags()
	f.RootDirectory, f.HostnameOverride, f.NodeIP, f.CertDirectory = *root, *name, *prefix+".1", filepath.Join(*root, "pki")
	f.MinimumGCAge = metav1.Duration{Duration: time.Minute}
	f.MaxContainerCount, f.MaxPerPodContainerCount = 100, 2
	c, err := options.NewKubeletConfiguration()
	check(err)
	c.Address, c.Port, c.ReadOnlyPort, c.HealthzPort = *prefix+".1", 10250, 0, 0
	c.PodLogsDir, c.VolumePluginDir = filepath.Join(*root, "podlogs"), filepath.Join(*root, "volumeplugins")
	c.CgroupsPerQOS, c.EnforceNodeAllocatable, c.EnableControllerAttachDetach = false, nil, false
	c.MakeIPTablesUtilChains, c.LocalStorageCapacityIsolation = false, false
	c.EvictionHard = map[string]string{}
	c.ImageGCHighThresholdPercent, c.ImageGCLowThresholdPercent = 100, 99
	c.MaxOpenFiles, c.MaxPods, c.RegisterNode, c.FailSwapOn, c.FailCgroupV1 = 65536, 100, true, false, false
	check(os.MkdirAll(c.PodLogsDir, 0o755))
	kubelet.ContainerLogsDir = filepath.Join(*root, "containerlogs") // else /var/log/containers

	self, err := os.Executable()
	check(err)
	rt := &procRuntime{root: *root, images: *images, bridge: *bridge, prefix: *prefix, kinit: filepath.Join(filepath.Dir(self), "kinit"),
		sbs: map[string]*sandbox{}, cs: map[string]*container{}}
	sc := streaming.DefaultConfig
	sc.Addr = "127.0.0.1:10251"
	rt.streams, err = streaming.NewServer(sc, execs{rt})
	check(err)
	go rt.streams.Start(true)
	tls, err := app.InitializeTLS(ctx, f, c)
	check(err)
	plugins, err := app.ProbeVolumePlugins(ctx, utilfeature.DefaultFeatureGate)
	check(err)
	mounter := mount.New("")
	check(app.RunKubelet(ctx, &options.KubeletServer{KubeletFlags: *f, KubeletConfiguration: *c}, &kubelet.Dependencies{
		KubeClient: client, HeartbeatClient: client, EventClient: client.CoreV1(),
		RemoteRuntimeService: rt, RemoteImageService: procImages{rt},
		CAdvisorInterface: &machine{}, ContainerManager: cm.NewStubContainerManager(), OOMAdjuster: oom.NewFakeOOMAdjuster(),
		OSInterface: kubecontainer.RealOS{}, Mounter: mounter, Subpather: subpath.New(mounter), HostUtil: hostutil.NewHostUtil(),
		VolumePlugins: plugins, DynamicPluginProber: app.GetDynamicPluginProber(ctx, c.VolumePluginDir, exec.New()),
		PodStartupLatencyTracker: kubeletutil.NewPodStartupLatencyTracker(), NodeStartupLatencyTracker: kubeletutil.NewNodeStartupLatencyTracker(),
		TracerProvider: noop.NewTracerProvider(), TLSOptions: tls,
	}))
	select {}
}
