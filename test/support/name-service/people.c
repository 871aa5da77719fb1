/* A name service module: what LDAP, sssd or extrausers are to a machine. Reads `NAME UID GID` lines of /etc/people and `NAME GID` lines of /etc/people.groups. While
   /etc/people.hangs is there, it does not answer, as a directory server that is gone. */
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void wait_for_ever(void) { while (access("/etc/people.hangs", F_OK) == 0) sleep(1); }

static enum nss_status person(const char *name, const uid_t *uid, struct passwd *out, char *buffer, size_t size, int *why) {
  wait_for_ever();
  FILE *file = fopen("/etc/people", "r");
  unsigned number, group;
  char found[64];
  while (file && fscanf(file, "%63s %u %u", found, &number, &group) == 3) {
    if (name ? strcmp(name, found) : number != *uid) continue;
    fclose(file);
    if (size < 256) { *why = ERANGE; return NSS_STATUS_TRYAGAIN; }
    snprintf(buffer, 64, "%s", found);
    snprintf(buffer + 64, 80, "/home/%s", found);
    snprintf(buffer + 160, 16, "x");
    snprintf(buffer + 180, 16, "/bin/sh");
    *out = (struct passwd){ .pw_name = buffer, .pw_passwd = buffer + 160, .pw_uid = number, .pw_gid = group, .pw_gecos = buffer + 160, .pw_dir = buffer + 64, .pw_shell = buffer + 180 };
    return NSS_STATUS_SUCCESS;
  }
  if (file) fclose(file);
  *why = ENOENT;
  return NSS_STATUS_NOTFOUND;
}

static enum nss_status group(const char *name, const gid_t *gid, struct group *out, char *buffer, size_t size, int *why) {
  wait_for_ever();
  FILE *file = fopen("/etc/people.groups", "r");
  unsigned number;
  char found[64];
  while (file && fscanf(file, "%63s %u", found, &number) == 2) {
    if (name ? strcmp(name, found) : number != *gid) continue;
    fclose(file);
    if (size < 256) { *why = ERANGE; return NSS_STATUS_TRYAGAIN; }
    memset(buffer, 0, 256);
    snprintf(buffer, 64, "%s", found);
    buffer[160] = 'x';
    *out = (struct group){ .gr_name = buffer, .gr_passwd = buffer + 160, .gr_gid = number, .gr_mem = (char **)(buffer + 192) };
    return NSS_STATUS_SUCCESS;
  }
  if (file) fclose(file);
  *why = ENOENT;
  return NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_people_getpwuid_r(uid_t uid, struct passwd *out, char *buffer, size_t size, int *why) { return person(NULL, &uid, out, buffer, size, why); }
enum nss_status _nss_people_getpwnam_r(const char *name, struct passwd *out, char *buffer, size_t size, int *why) { return person(name, NULL, out, buffer, size, why); }
enum nss_status _nss_people_getgrgid_r(gid_t gid, struct group *out, char *buffer, size_t size, int *why) { return group(NULL, &gid, out, buffer, size, why); }
enum nss_status _nss_people_getgrnam_r(const char *name, struct group *out, char *buffer, size_t size, int *why) { return group(name, NULL, out, buffer, size, why); }
