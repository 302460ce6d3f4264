"""Adds to package-lock.json the optional packages of other platforms that npm left out because the registry in
reach did not offer them: without their entries `npm ci` refuses the lock everywhere. Then fills in the integrity of
entries that have none, as far as the registry knows it. Run it beside the lock."""
import json,re,subprocess
l=json.load(open('package-lock.json')); P=l['packages']
OS=['darwin','linux','win32','android','freebsd','openharmony','openbsd','netbsd','sunos','aix']
added=[]
changed=True
while changed:
    changed=False
    for path,p in list(P.items()):
        for name,ver in (p.get('optionalDependencies') or {}).items():
            # resolution: nested lookup
            base=path; found=False
            while True:
                cand=(base+'/' if base else '')+'node_modules/'+name
                if cand in P: found=True;break
                if not base: break
                base=base[:base.rfind('node_modules/')].rstrip('/') if 'node_modules/' in base else ''
            if found: continue
            short=name.split('/')[-1]
            e={'version':re.sub(r'^[\^~]','',ver),'optional':True}
            if p.get('dev') : e['dev']=True
            os_=[o for o in OS if o in short]
            cpu=[c for c in ['arm64','x64','ia32','ppc64','s390x','riscv64','loong64','wasm32'] if re.search(r'(^|-)'+c,short)]
            if not cpu and re.search(r'(^|-)arm(-|$|-eabi)',short): cpu=['arm']
            if 'arm-' in short or short.endswith('-arm'): cpu=cpu or ['arm']
            if os_: e['os']=os_
            if cpu: e['cpu']=cpu
            if 'musl' in short: e['libc']=['musl']
            elif short.endswith('-gnu') and 'linux' in short: e['libc']=['glibc']
            if not os_ and not cpu: print('SKIP?',name,ver,path); continue
            P['node_modules/'+name]=e; added.append(name); changed=True
def integrity(path,version):
    name=path.split('node_modules/')[-1]
    found=subprocess.run(['npm','view',f'{name}@{version}','dist.integrity'],capture_output=True,text=True).stdout.strip()
    return found if found.startswith('sha512-') else None
missing=[]
for path,p in P.items():
    if not path or p.get('link') or 'integrity' in p: continue
    found=integrity(path,p['version'])
    if found is None: missing.append(path)
    else: p['integrity']=found
for path in missing: print('no integrity:',path)
l['packages']=dict(sorted(P.items()))
json.dump(l,open('package-lock.json','w'),indent=2); open('package-lock.json','a').write('\n')
print(len(added))
